import { expect, it } from 'vitest';
import { pace } from './pace.ts';

it('a_viewer_at_the_wanted_delay_plays_at_normal_speed', () => {
  expect(pace(1.0, 1.0, 0.8, 1)).toBe(1);
  expect(pace(1.1, 1.0, 0.8, 1)).toBe(1);
});

it('a_late_viewer_catches_up_and_stops_there', () => {
  let behind = 1.7;
  let rate = 1;
  let seconds = 0;
  while (seconds < 60) {
    rate = pace(behind, 1.0, behind - 0.2, rate);
    if (rate === 1) break;
    expect(rate).toBeLessThanOrEqual(1.06);
    behind -= (rate - 1) * 0.25;
    seconds += 0.25;
  }
  expect(behind).toBeCloseTo(1.03, 1);
  expect(seconds).toBeLessThan(40);
});

it('an_empty_buffer_or_a_rewound_viewer_is_left_alone', () => {
  expect(pace(2.0, 1.0, 0.39, 1.05)).toBe(1);
  expect(pace(9.0, 1.0, 5, 1)).toBe(1);
});

it('a_viewer_too_near_the_edge_falls_back_gently', () => {
  expect(pace(1.0, 1.3, 0.6, 1)).toBe(0.94);
  expect(pace(0.5, 1.3, 0.6, 1)).toBe(0.93);
  expect(pace(1.25, 1.3, 0.6, 0.95)).toBe(0.97);
  expect(pace(1.28, 1.3, 0.6, 0.97)).toBe(1);
});
