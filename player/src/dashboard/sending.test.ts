import { expect, test } from 'vitest';
import { idOf, isWorthAnotherTry, percentOf, sentenceOf } from './sending.ts';

test('the_network_and_a_restart_are_waited_for_and_a_no_is_not', () => {
  expect([0, 409, 423, 500, 503].every(isWorthAnotherTry)).toBe(true);
  expect([400, 401, 404, 413, 415, 429, 507].some(isWorthAnotherTry)).toBe(false);
});

test('a_refusal_is_told_in_the_servers_words', () => {
  expect(sentenceOf('{"code":"no_room","message":"There is no room."}')).toBe('There is no room.');
  expect(sentenceOf('<html>')).toBeNull();
});

test('the_recording_is_the_end_of_the_address', () => {
  expect(idOf('http://host/api/v1/uploads/0190-a')).toBe('0190-a');
  expect(idOf(null)).toBeNull();
});

test('all_of_nothing_is_not_a_number_of_hundredths', () => {
  expect(percentOf(0, 0)).toBe(0);
  expect(percentOf(199, 200)).toBe(99);
});
