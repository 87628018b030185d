import { expect, it } from 'vitest';
import { extent, linePath, nearest, rangeOf, roundUp, ticks, xOf, yOf, type Point } from './scale.ts';

const BOX = { width: 100, height: 10 };
const RANGE = { low: 0, high: 10 };
const at = (...values: Array<number | null>): Point[] => values.map((value, i) => ({ atMs: i * 1000, value }));

it('the_axis_ends_at_a_round_number_above_the_largest_value', () => {
  expect([0.7, 1, 1.2, 29.97, 101, 4800, 6200, 9999].map(roundUp)).toEqual([0.8, 1, 1.5, 30, 150, 5000, 8000, 10_000]);
  expect(rangeOf(at(4700, null, 5000), 500)).toEqual({ low: 0, high: 6000 });
  expect(rangeOf(at(), 30)).toEqual({ low: 0, high: 30 });
  expect(ticks({ low: -60, high: 0 })).toEqual([-60, -30, 0]);
});

it('time_goes_right_and_value_goes_up', () => {
  expect([0, 5_000, 10_000].map((ms) => xOf(ms, 0, 10_000, 100))).toEqual([0, 50, 100]);
  expect([0, 5, 10].map((value) => yOf(value, RANGE, 10))).toEqual([10, 5, 0]);
});

it('what_is_off_the_scale_stays_in_the_picture', () => {
  expect([yOf(99, RANGE, 10), yOf(-5, RANGE, 10)]).toEqual([0, 10]);
});

it('the_line_breaks_where_nothing_came', () => {
  expect(linePath(at(0, 10, null, 5, 5), 0, 10_000, RANGE, BOX)).toBe('M0 10L10 0M30 5L40 5');
});

it('the_line_breaks_where_seconds_are_missing', () => {
  const points = [{ atMs: 0, value: 5 }, { atMs: 1000, value: 5 }, { atMs: 8000, value: 5 }, { atMs: 9000, value: 5 }];
  expect(linePath(points, 0, 10_000, RANGE, BOX)).toBe('M0 5L10 5M80 5L90 5');
});

it('a_lone_sample_is_seen', () => {
  expect(linePath(at(null, 5, null), 0, 10_000, RANGE, BOX)).toBe('M10 5h1');
});

it('samples_before_the_left_edge_are_not_drawn', () => {
  expect(linePath(at(5, 5, 5), 1_000, 10_000, RANGE, BOX)).toBe('M0 5L10 5');
});

it('now_is_the_newest_sample_and_nothing_when_that_is_old', () => {
  const points = at(3, 9, 4);
  expect(extent(points, 3_000)).toEqual({ now: 4, low: 3, high: 9 });
  expect(extent(points, 60_000)).toEqual({ now: null, low: 3, high: 9 });
  expect(extent(at(3, null), 1_000)).toEqual({ now: null, low: 3, high: 3 });
  expect(extent(at(null), 0)).toBeNull();
});

it('the_pointer_finds_the_closest_second_and_none_far_away', () => {
  const points = at(1, 2, 3);
  expect(nearest(points, 1_400)?.value).toBe(2);
  expect(nearest(points, 1_600)?.value).toBe(3);
  expect(nearest(points, 30_000)).toBeNull();
});
