import { expect, it } from 'vitest';
import { recall, remember, startAt, type Keeper } from './position.ts';

function keeper(text?: string): Keeper & { text: string | undefined } {
  return {
    text,
    getItem() {
      return this.text ?? null;
    },
    setItem(_, value) {
      this.text = value;
    },
  };
}

it('a_viewer_comes_back_to_where_it_was', () => {
  const kept = keeper();
  remember(kept, 'a', 100.4, 600);
  remember(kept, 'b', 30, 600);
  expect([recall(kept, 'a'), recall(kept, 'b'), recall(kept, 'c')]).toEqual([100, 30, null]);
});

it('what_is_hardly_begun_or_seen_to_its_end_is_forgotten', () => {
  const kept = keeper();
  for (const at_s of [5, 586, 600]) {
    remember(kept, 'a', 100, 600);
    remember(kept, 'a', at_s, 600);
    expect(recall(kept, 'a'), `at ${at_s}`).toBeNull();
  }
  remember(kept, 'short', 24, 30);
  expect(recall(kept, 'short')).toBe(24);
});

it('only_so_many_are_kept', () => {
  const kept = keeper();
  for (let i = 0; i < 300; i += 1) remember(kept, `r${i}`, 60, 600);
  expect([recall(kept, 'r99'), recall(kept, 'r100'), recall(kept, 'r299')]).toEqual([null, 60, 60]);
});

it('nonsense_and_a_closed_storage_are_no_memory', () => {
  for (const text of ['', '{', 'null', '7', '{"a":1}', '[["a","x"],["a"],null]']) expect(recall(keeper(text), 'a')).toBeNull();
  expect(recall(null, 'a')).toBeNull();
  remember(null, 'a', 100, 600);
  const closed: Keeper = {
    getItem: () => {
      throw new Error('closed');
    },
    setItem: () => {
      throw new Error('closed');
    },
  };
  remember(closed, 'a', 100, 600);
  expect(recall(closed, 'a')).toBeNull();
});

it('the_address_says_where_to_begin', () => {
  expect(startAt('?t=90', 40, 600)).toBe(90);
  expect(startAt('?t=90.5', null, 600)).toBe(90.5);
  expect(startAt('', 40, 600)).toBe(40);
  expect(startAt('?t=0', 40, 600)).toBe(0);
  for (const odd of ['?t=-4', '?t=abc', '?t=', '?t=1e9', '?t=Infinity']) expect(startAt(odd, null, 600)).toBe(0);
});

it('a_place_behind_the_end_is_the_start', () => {
  expect([startAt('?t=600', null, 600), startAt('', 700, 600)]).toEqual([0, 0]);
});
