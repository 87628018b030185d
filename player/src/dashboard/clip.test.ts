import { expect, it } from 'vitest';
import { cutOf } from './clip.ts';

it('a_piece_lies_between_two_times', () => {
  expect(cutOf('1:00', '1:30.5', 600)).toEqual({ startS: 60, endS: 90.5 });
  expect(cutOf('0', '600', 600)).toEqual({ startS: 0, endS: 600 });
});

it('the_last_tenth_is_not_behind_the_end', () => {
  expect(cutOf('0:00', '10:00.3', 600.2)).toEqual({ startS: 0, endS: 600.2 });
});

it('what_is_no_piece_is_told_in_words', () => {
  const fault = (start: string, end: string) => {
    const cut = cutOf(start, end, 600);
    return 'fault' in cut ? cut.fault : null;
  };
  expect(fault('', '1:00')).toMatch(/start as/);
  expect(fault('1:00', 'later')).toMatch(/end as/);
  expect(fault('1:00', '1:00')).toMatch(/after the start/);
  expect(fault('2:00', '1:00')).toMatch(/after the start/);
  expect(fault('1:00', '11:00')).toBe('The recording is 10:00 long.');
});
