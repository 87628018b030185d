import { expect, it } from 'vitest';
import { clock, day, lasted, moment, running } from './time.ts';

const MIN = 60_000;

it('says_how_long_in_the_words_that_fit', () => {
  expect([-5, 59_999, MIN, 59 * MIN, 65 * MIN, 24 * 60 * MIN, 53 * 60 * MIN].map(lasted)).toEqual([
    '0 s', '59 s', '1 min', '59 min', '1 h 05 min', '1 d 0 h', '2 d 5 h',
  ]);
});

it('a_running_clock_goes_over_a_day', () => {
  expect([0, 7_999, 61 * MIN + 1_000, 100 * 60 * MIN].map(running)).toEqual(['0:00:00', '0:00:07', '1:01:01', '100:00:00']);
});

it('today_needs_no_date', () => {
  const noon = new Date(2026, 6, 9, 12, 3, 4).getTime();
  expect([clock(noon), day(noon)]).toEqual(['12:03:04', '2026-07-09']);
  expect(moment(noon, noon + 60 * MIN)).toBe('12:03:04');
  expect(moment(noon, noon + 24 * 60 * MIN)).toBe('2026-07-09 12:03:04');
});
