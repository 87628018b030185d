import { expect, it } from 'vitest';
import { start, type Phase } from './playback.ts';
import { words } from './words.ts';

const late = { online: true, late: true };
const at = (phase: Phase, part: object = {}) => ({ ...start(0).next, phase, seen: true, ...part });
const waiting: Phase = { kind: 'reconnecting', retryAt: 0, tried: false };

it('a_picture_and_short_trouble_need_no_words', () => {
  expect(words(at({ kind: 'playing', since: 0 }), late)).toBeNull();
  expect(words(at({ kind: 'opening', since: 0 }), { online: true, late: false })).toBeNull();
  expect(words(at(waiting), { online: true, late: false })).toBeNull();
});

it('tells_a_lost_network_a_silent_server_and_a_missing_picture_apart', () => {
  expect(words(at(waiting), late)?.title).toBe('Reconnecting');
  expect(words(at(waiting), { online: false, late: false })?.title).toBe('You are offline');
  expect(words(at({ kind: 'opening', since: 0 }), { online: false, late: true })?.title).toBe('You are offline');
  expect(words(at(waiting, { seen: false }), late)?.title).toBe('The server does not answer');
  expect(words(at(waiting, { missed: true }), late)?.title).toBe('There is no picture yet');
});

it('the_words_stay_while_it_tries_again', () => {
  expect(words(at({ kind: 'opening', since: 0 }, { seen: false }), late)?.title).toBe('Opening the recording');
  expect(words(at({ kind: 'opening', since: 0 }, { attempts: 3, missed: true }), late)?.title).toBe('There is no picture yet');
});

it('only_what_the_viewer_must_do_has_a_button', () => {
  expect(words(at(waiting), late)?.button).toBeUndefined();
  expect(words(at({ kind: 'gone' }), late)?.button).toBe('Try again');
  expect(words(at({ kind: 'unsupported', reason: 'why' }), late)).toMatchObject({ detail: 'why', button: 'Try again' });
});
