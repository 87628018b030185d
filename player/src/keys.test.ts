import { expect, it } from 'vitest';
import { wish } from './keys.ts';

const press = (key: string, held: Partial<Record<'ctrlKey' | 'altKey' | 'metaKey', boolean>> = {}) => ({
  key, ctrlKey: false, altKey: false, metaKey: false, ...held,
});

it('keys_ask_for_what_the_help_says', () => {
  expect(wish(press(' '), 'page')).toEqual({ do: 'toggle_play' });
  expect(wish(press('K'), 'page')).toEqual({ do: 'toggle_play' });
  expect(wish(press('m'), 'page')).toEqual({ do: 'toggle_mute' });
  expect(wish(press('l'), 'page')).toEqual({ do: 'go_live' });
  expect(wish(press('ArrowLeft'), 'page')).toEqual({ do: 'seek', by: -5 });
  expect(wish(press('ArrowUp'), 'page')).toEqual({ do: 'volume', by: 0.05 });
  expect(wish(press('x'), 'page')).toBeNull();
});

it('keys_of_the_browser_and_of_focused_controls_are_left_alone', () => {
  expect(wish(press('f', { ctrlKey: true }), 'page')).toBeNull();
  expect(wish(press('l', { metaKey: true }), 'page')).toBeNull();
  expect(wish(press(' '), 'button')).toBeNull();
  expect(wish(press('ArrowRight'), 'slider')).toBeNull();
  expect(wish(press('m'), 'slider')).toEqual({ do: 'toggle_mute' });
});
