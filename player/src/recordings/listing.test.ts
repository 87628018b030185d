import { expect, it } from 'vitest';
import { Listing, type AskPage } from './listing.ts';
import { ANY, type Wanted } from './query.ts';
import { decodePage, type Page } from './shape.ts';

/** Recordings `from` to `until`, of `total`. */
function page(from: number, until: number, total: number): Page {
  const recordings = Array.from({ length: until - from }, (_, i) => ({ id: `r${from + i}` }));
  return decodePage({ recordings, next: until < total ? `c${until}` : null, total });
}

/** A server with so many recordings, whose answers can be held back. */
function server(total: number) {
  const asked: string[] = [];
  const held: (() => void)[] = [];
  const state = { hold: false, away: false };
  const ask: AskPage = async (wanted, limit, cursor) => {
    asked.push(`${wanted.q}/${limit}/${cursor ?? ''}`);
    if (state.hold) await new Promise<void>((go) => held.push(go));
    if (state.away) throw new Error('The server does not answer.');
    const from = cursor ? Number(cursor.slice(1)) : 0;
    const all = wanted.q ? 1 : total;
    return page(from, Math.min(all, from + limit), all);
  };
  return { ask, asked, held, state };
}

const ids = (listing: Listing) => listing.rows.value?.map(({ id }) => id);

it('pages_follow_each_other_to_the_end', async () => {
  const listing = new Listing(server(70).ask);
  await listing.want(ANY);
  expect([ids(listing)?.length, listing.total.value, listing.isMore.value]).toEqual([30, 70, true]);
  await listing.more();
  await listing.more();
  expect([ids(listing)?.length, new Set(ids(listing)).size, listing.isMore.value]).toEqual([70, 70, false]);
  await listing.more();
  expect(ids(listing)?.length).toBe(70);
});

it('a_refresh_asks_for_as_many_as_are_shown', async () => {
  const { ask, asked } = server(300);
  const listing = new Listing(ask);
  await listing.want(ANY);
  await listing.more();
  await listing.refresh();
  expect(asked.at(-1)).toBe('/60/');
  expect(ids(listing)?.length).toBe(60);
  for (let i = 0; i < 2; i += 1) await listing.more();
  await listing.refresh();
  expect(asked.at(-1)).toBe('/30/c90');
});

it('an_answer_to_an_old_question_comes_too_late', async () => {
  const { ask, held, state } = server(70);
  const listing = new Listing(ask);
  state.hold = true;
  const first = listing.want(ANY);
  const second = listing.want({ ...ANY, q: 'x' } satisfies Wanted);
  held[1]?.();
  await second;
  held[0]?.();
  await first;
  expect(ids(listing)).toEqual(['r0']);
  expect(listing.busy.value).toBe(false);
});

it('what_is_shown_stays_while_the_server_is_away', async () => {
  const { ask, state } = server(70);
  const listing = new Listing(ask);
  await listing.want(ANY);
  state.away = true;
  await listing.more();
  expect([ids(listing)?.length, listing.trouble.value, listing.busy.value]).toEqual([30, 'The server does not answer.', false]);
  state.away = false;
  await listing.refresh();
  expect(listing.trouble.value).toBeNull();
});

it('a_long_list_keeps_its_length_over_trouble', async () => {
  const { ask, state } = server(300);
  const listing = new Listing(ask);
  await listing.want(ANY);
  for (let i = 0; i < 3; i += 1) await listing.more();
  state.away = true;
  await listing.more();
  state.away = false;
  await listing.refresh();
  expect([ids(listing)?.length, listing.trouble.value]).toEqual([150, null]);
});

it('two_presses_ask_once', async () => {
  const { ask, asked } = server(70);
  const listing = new Listing(ask);
  await listing.want(ANY);
  await Promise.all([listing.more(), listing.more()]);
  expect(asked.length).toBe(2);
  expect(ids(listing)?.length).toBe(60);
});
