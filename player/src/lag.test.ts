import { expect, it } from 'vitest';
import { Worst, partsBehind, room } from './lag.ts';

const places = (...list: [number, number][]) => list.map(([msn, part]) => ({ msn, part }));

it('counts_parts_the_slowest_rendition_does_not_list_yet', () => {
  const own = places([230, 4], [230, 5], [231, 0], [231, 1]);
  expect(partsBehind(own, places([231, 1], [230, 5]))).toBe(2);
  expect(partsBehind(own, places([231, 2]))).toBe(0);
  expect(partsBehind(own, [])).toBe(0);
});

it('asks_for_room_only_beyond_what_the_hold_back_gives', () => {
  expect(room(0.34, 1.02, 0.34, 0.3)).toBe(0);
  expect(room(0.68, 1.02, 0.34, 0.3)).toBeCloseTo(0.3);
  expect(room(6, 1.02, 0.34, 0.3)).toBe(1.5);
});

it('remembers_the_worst_for_a_while', () => {
  const worst = new Worst();
  worst.put(2, 0);
  worst.put(1, 5_000);
  expect(worst.get(6_000)).toBe(2);
  worst.put(1, 21_000);
  expect(worst.get(21_000)).toBe(1);
  expect(worst.get(50_000)).toBe(0);
});
