import { expect, it } from 'vitest';
import { ServerClock, goingOn, shortDelay } from './clock.ts';

it('delays_read_well', () => {
  expect([0.04, 1.44, 9.94, 9.96, 59.6, 100].map(shortDelay)).toEqual(['0.0 s', '1.4 s', '9.9 s', '10 s', '60 s', '2 min']);
  expect(shortDelay(-0.3)).toBe('0.0 s');
});

it('spans_read_well', () => {
  expect([0, 59_999, 60_000, 3_599_999, 3_900_000].map(goingOn)).toEqual(['just now', 'just now', '1 min', '59 min', '1 h 05 min']);
});

it('the_quickest_answer_sets_the_clock', () => {
  const clock = new ServerClock();
  expect(clock.at(0)).toBeNull();
  clock.read(10_500, 0, 1_000);
  expect(clock.at(0)).toBe(10_000);
  clock.read(10_020, 10, 30);
  expect(clock.at(0)).toBe(10_000);
  clock.read(99_999, 0, 60_000);
  expect(clock.at(0)).toBe(10_000);
});
