import { expect, it } from 'vitest';
import { words } from './words.ts';

const seen = { online: true, late: true, seen: true, again: true };

it('a_moving_picture_needs_no_words', () => {
  expect(words({ kind: 'playing', since: 0 }, seen)).toBeNull();
});

it('short_trouble_is_not_worth_a_word', () => {
  expect(words({ kind: 'reconnecting', retryAt: 0, tried: false }, { ...seen, late: false })).toBeNull();
  expect(words({ kind: 'opening' }, { ...seen, late: false })).toBeNull();
});

it('tells_a_lost_network_from_a_silent_server', () => {
  expect(words({ kind: 'reconnecting', retryAt: 0, tried: false }, seen)?.title).toBe('Reconnecting');
  expect(words({ kind: 'reconnecting', retryAt: 0, tried: false }, { ...seen, online: false })?.title).toBe('You are offline');
  expect(words({ kind: 'reconnecting', retryAt: 0, tried: false }, { ...seen, seen: false })?.title).toBe('The server does not answer');
});

it('a_first_opening_is_no_trouble', () => {
  expect(words({ kind: 'opening' }, { ...seen, again: false })?.title).toBe('Opening the stream');
  expect(words({ kind: 'opening' }, seen)?.title).toBe('Reconnecting');
});

it('a_link_that_is_no_good_says_why_and_what_to_do', () => {
  expect(words({ kind: 'refused', reason: 'Ask for a new one.' }, seen)).toMatchObject({ detail: 'Ask for a new one.', busy: false });
  expect(words({ kind: 'waiting' }, seen)?.detail).toContain('private');
});

it('only_what_the_viewer_must_do_has_a_button', () => {
  expect(words({ kind: 'waiting' }, seen)?.button).toBeUndefined();
  expect(words({ kind: 'unsupported', reason: 'why' }, seen)).toMatchObject({ detail: 'why', button: 'Try again' });
});
