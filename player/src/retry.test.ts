import { expect, it } from 'vitest';
import { retryDelay } from './retry.ts';

it('backs_off_to_eight_seconds_spread_by_a_fifth', () => {
  expect([0, 1, 2, 3, 4, 50].map((n) => retryDelay(n, 0.5))).toEqual([500, 1000, 2000, 4000, 8000, 8000]);
  expect(retryDelay(4, 0)).toBeCloseTo(6_400);
  expect(retryDelay(4, 1)).toBeCloseTo(9_600);
});
