import { expect, it } from 'vitest';
import { exactStamp, isoLength, onDay, onDayAt, readStamp, spoken, stamp } from './time.ts';

it('places_read_as_players_show_them', () => {
  expect([0, 7.9, 754, 3_723, 36_000, -4].map(stamp)).toEqual(['0:00', '0:07', '12:34', '1:02:03', '10:00:00', '0:00']);
  expect([0, 2.3, 7.99, 3_723].map(exactStamp)).toEqual(['0:00.0', '0:02.3', '0:07.9', '1:02:03.0']);
});

it('typed_places_are_read', () => {
  expect(['75', '1:15', ' 01:02:03.5 ', '62:03', '0:7', '1,5'].map(readStamp)).toEqual([75, 75, 3_723.5, 3_723, 7, 1.5]);
  for (const odd of ['', 'abc', '1:', ':5', '1:2:3:4', '-5', '1.5:00', '1e3', '5.']) expect(readStamp(odd), odd).toBeNull();
});

it('what_is_written_is_read_back', () => {
  for (let tenths = 0; tenths < 90_000; tenths += 77) expect(readStamp(exactStamp(tenths / 10))).toBeCloseTo(tenths / 10, 6);
});

it('lengths_are_said_in_words', () => {
  expect([0, 1, 62, 3_600, 7_323].map(spoken)).toEqual([
    '0 seconds', '1 second', '1 minute 2 seconds', '1 hour', '2 hours 2 minutes 3 seconds',
  ]);
  expect(isoLength(754.4)).toBe('PT754S');
});

it('dates_have_their_year', () => {
  const at = new Date(2026, 6, 30, 14, 3).getTime();
  expect(onDay(at)).toBe('Jul 30, 2026');
  expect(onDayAt(at)).toBe('Jul 30, 2026, 14:03');
});
