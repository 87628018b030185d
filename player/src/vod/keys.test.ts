import { expect, it } from 'vitest';
import { VOD_KEYS, vodWish } from './keys.ts';

const press = (key: string, held: Partial<Record<'ctrlKey' | 'altKey' | 'metaKey', boolean>> = {}) => ({
  key, ctrlKey: false, altKey: false, metaKey: false, ...held,
});

it('keys_move_in_time_as_the_help_says', () => {
  expect(vodWish(press('ArrowLeft'), 'page')).toEqual({ do: 'seek', by: -5 });
  expect(vodWish(press('j'), 'page')).toEqual({ do: 'seek', by: -10 });
  expect(vodWish(press('L'), 'page')).toEqual({ do: 'seek', by: 10 });
  expect(vodWish(press('7'), 'page')).toEqual({ do: 'go_to', part: 0.7 });
  expect(vodWish(press('Home'), 'page')).toEqual({ do: 'go_to', part: 0 });
  expect(vodWish(press('End'), 'button')).toEqual({ do: 'go_to', part: 1 });
  expect(vodWish(press('k'), 'page')).toEqual({ do: 'toggle_play' });
  expect(VOD_KEYS.map(([keys]) => keys)).not.toContain('L');
});

it('on_the_seek_bar_the_keys_are_those_of_a_slider', () => {
  expect(vodWish(press('ArrowUp'), 'seek')).toEqual({ do: 'seek', by: 5 });
  expect(vodWish(press('ArrowDown'), 'seek')).toEqual({ do: 'seek', by: -5 });
  expect(vodWish(press('ArrowRight'), 'seek')).toEqual({ do: 'seek', by: 5 });
  expect(vodWish(press('PageDown'), 'seek')).toEqual({ do: 'seek', by: -60 });
  expect(vodWish(press(' '), 'seek')).toEqual({ do: 'toggle_play' });
});

it('keys_of_the_browser_of_other_sliders_and_of_buttons_are_left_alone', () => {
  expect(vodWish(press('l', { metaKey: true }), 'page')).toBeNull();
  expect(vodWish(press('Home'), 'slider')).toBeNull();
  expect(vodWish(press('5'), 'slider')).toBeNull();
  expect(vodWish(press('ArrowRight'), 'slider')).toBeNull();
  expect(vodWish(press(' '), 'button')).toBeNull();
  expect(vodWish(press('ArrowUp'), 'page')).toEqual({ do: 'volume', by: 0.05 });
});
