import { expect, it } from 'vitest';
import { bytes, counted, decimal, measured, rate, whole } from './figures.ts';

it('what_is_not_known_is_a_dash_and_zero_is_a_figure', () => {
  expect([whole(null), decimal(null), rate(null), bytes(null), measured(null, 's')]).toEqual(['–', '–', '–', '–', '–']);
  expect([whole(0), rate(0), bytes(0), measured(0, 's')]).toEqual(['0', '0 kb/s', '0 B', '0 s']);
});

it('rates_and_sizes_change_their_unit', () => {
  expect([999, 1000, 6120].map(rate)).toEqual(['999 kb/s', '1.00 Mb/s', '6.12 Mb/s']);
  expect([999, 1_200, 999_600, 412e6, 8.24e9, 3e15].map(bytes)).toEqual(['999 B', '1.2 kB', '1.0 MB', '412 MB', '8.2 GB', '3.0 PB']);
});

it('a_measurement_has_no_digits_that_say_nothing', () => {
  expect([measured(4.1666, 's'), measured(2, 's'), measured(59.94, 'fps'), measured(3840, 'samples'), measured(3, '')]).toEqual([
    '4.17 s', '2 s', '59.9 fps', '3840 samples', '3',
  ]);
});

it('one_is_not_many', () => {
  expect([0, 1, 5300].map((n) => counted(n, 'viewer'))).toEqual(['0 viewers', '1 viewer', '5,300 viewers']);
});
