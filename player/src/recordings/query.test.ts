import { expect, it } from 'vitest';
import { ANY, apiQuery, isNarrow, readWanted, writeWanted, type Wanted } from './query.ts';

const ALL: Wanted = { q: 'a & b', tag: 'Jazz', stream: 'demo', sort: '-size', status: 'failed', visibility: 'private', trashed: true };

it('an_address_says_what_is_wanted_and_is_read_back', () => {
  for (const wanted of [ANY, ALL, { ...ANY, q: '100%' }, { ...ANY, sort: 'title' as const }]) expect(readWanted(writeWanted(wanted))).toEqual(wanted);
  expect(writeWanted(ANY)).toBe('');
  expect(writeWanted({ ...ANY, tag: 'Jazz' })).toBe('?tag=Jazz');
  expect(writeWanted({ ...ANY, q: '  ' })).toBe('');
});

it('what_makes_no_sense_is_not_wanted', () => {
  expect(readWanted('?sort=random&status=lost&visibility=x&trashed=yes&limit=4')).toEqual(ANY);
  expect(readWanted(`?q=${'x'.repeat(300)}`).q.length).toBe(200);
});

it('the_api_is_asked_in_its_own_words', () => {
  expect(apiQuery(ANY, 30, null)).toBe('limit=30');
  expect(apiQuery(ALL, 100, 'abc')).toBe(
    'q=a+%26+b&tag=Jazz&stream=demo&sort=-size&status=failed&visibility=private&trashed=true&limit=100&cursor=abc',
  );
});

it('an_order_alone_narrows_nothing', () => {
  expect([isNarrow(ANY), isNarrow({ ...ANY, sort: 'title' }), isNarrow({ ...ANY, trashed: true })]).toEqual([false, false, true]);
});
