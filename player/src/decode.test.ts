import { expect, it } from 'vitest';
import { field, list, number, text, word } from './decode.ts';

it('takes_what_is_there_and_nothing_else', () => {
  expect(field({ a: 1 }, 'a')).toBe(1);
  for (const junk of [null, undefined, 'abc', 7]) expect(field(junk, 'length')).toBeUndefined();
  expect([text('x'), text(''), text(3)]).toEqual(['x', null, null]);
  expect([number(0), number(NaN), number(Infinity), number('1')]).toEqual([0, null, null, null]);
});

it('leaves_out_items_that_make_no_sense', () => {
  expect(list(['a', 1, null, 'b'], text)).toEqual(['a', 'b']);
  expect(list({ length: 2 }, text)).toEqual([]);
});

it('a_word_it_does_not_know_is_the_other_one', () => {
  expect(word('ok', ['ok', 'bad'], 'none')).toBe('ok');
  expect(word('superb', ['ok', 'bad'], 'none')).toBe('none');
});
