import { expect, it } from 'vitest';
import { Shelf } from './shelf.ts';

it('a_switch_shows_when_its_time_comes', () => {
  const shelf = new Shelf();
  for (const from of [10, 10.4, 10.8]) shelf.put(from, 0);
  shelf.put(11.2, 2);
  expect([9, 10, 11.1, 11.2, 30].map((t) => shelf.at(t))).toEqual([null, 0, 0, 2, 2]);
});

it('what_is_loaded_again_covers_what_was_there', () => {
  const shelf = new Shelf();
  shelf.put(10, 0);
  shelf.put(12, 1);
  shelf.put(14, 0);
  shelf.put(12, 2);
  expect([11, 13, 15].map((t) => shelf.at(t))).toEqual([0, 2, 2]);
});

it('stays_small', () => {
  const shelf = new Shelf();
  for (let i = 0; i < 10_000; i += 1) shelf.put(i, i % 2);
  expect(shelf.at(9_990)).toBe(0);
  expect(shelf.at(1)).toBeNull();
});
