import { expect, test } from 'vitest';
import { Tally, type Look } from './tally.ts';

/** Looks every quarter of a second; each letter is one: `.` moves, `x` stands, `-` is not wanted. */
function fed(tally: Tally, looks: string, from_ms = 0): void {
  [...looks].forEach((one, n) => {
    const look: Look = {
      now_ms: from_ms + n * 250, moved: one === '.', wanted: one !== '-', delay_s: one === '.' ? 1.5 : null,
      rendition: one === '.' ? '480p' : null, errors: 0,
    };
    tally.look(look);
  });
}

test('startup_is_from_the_opening_of_the_page_and_told_once', () => {
  const tally = new Tally();
  fed(tally, 'xxxx....');
  expect(tally.take()).toEqual({ startup_ms: 1000, played_ms: 1000, stalled_ms: 0, stalls: 0, latency_ms: 1500, rendition: '480p', errors: 0 });
  fed(tally, '....', 2000);
  expect(tally.take()?.startup_ms).toBeUndefined();
});

test('who_waits_for_the_show_waits_for_no_picture', () => {
  const tally = new Tally();
  fed(tally, '--------xx..');
  expect(tally.take()?.startup_ms).toBe(500);
});

test('a_stall_is_what_is_noticed_and_not_wished_for', () => {
  const tally = new Tally();
  fed(tally, '....x....xxxx....--xx');
  const { stalled_ms, stalls } = tally.take() ?? {};
  expect([stalled_ms, stalls]).toEqual([1000, 1]);
});

test('before_the_first_picture_nothing_stalls', () => {
  const tally = new Tally();
  fed(tally, 'xxxxxxxx');
  expect(tally.take()).toBeNull();
});

test('sleep_is_neither_playing_nor_standing_still', () => {
  const tally = new Tally();
  fed(tally, '....');
  tally.take();
  fed(tally, 'x', 60_000);
  fed(tally, '.', 120_000);
  expect(tally.take()).toBeNull();
});

test('faults_are_told_as_they_come', () => {
  const tally = new Tally();
  const look = { now_ms: 0, moved: false, wanted: true, delay_s: null, rendition: null };
  tally.look({ ...look, errors: 0 });
  tally.look({ ...look, now_ms: 250, errors: 2 });
  expect(tally.take()?.errors).toBe(2);
  tally.look({ ...look, now_ms: 500, errors: 2 });
  expect(tally.take()).toBeNull();
});
