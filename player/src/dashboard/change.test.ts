import { expect, it } from 'vitest';
import { changes, fault, nameFault, settingsOf, tidyName } from './change.ts';
import { decodeStream, type Stream } from './shapes.ts';

function stream(part: object = {}): Stream {
  const made = decodeStream({ name: 'demo', title: 'A show', ...part });
  if (!made) throw new Error('it has a name');
  return made;
}

it('what_was_not_edited_is_not_sent', () => {
  const all = { reconnect_window_s: 0, takeover: 'reject', slate: 'off', passthrough: false, latency: 'standard', visibility: 'unlisted' };
  for (const part of [{}, { ladder: 'none' }, { ladder: '720p:2800k' }, all]) {
    expect(changes(stream(part), settingsOf(stream(part)))).toEqual({});
  }
});

it('each_edit_is_sent_in_the_words_of_the_api', () => {
  const settings = settingsOf(stream());
  const sent = (part: object) => changes(stream(), { ...settings, ...part });
  expect(sent({ title: ' Late show ' })).toEqual({ title: 'Late show' });
  expect(sent({ ladder: 'none' })).toEqual({ ladder: 'none' });
  expect(sent({ ladder: 'own', rungs: ' 720p:2800k ' })).toEqual({ ladder: '720p:2800k' });
  expect(sent({ window: 'own', windowS: '30' })).toEqual({ reconnect_window_s: 30 });
  const same = { takeover: 'newest', slate: 'image', passthrough: false, latency: 'standard', visibility: 'private' };
  expect(sent(same)).toEqual(same);
});

it('going_back_to_the_servers_own_is_sent_too', () => {
  const own = stream({ ladder: '720p:2800k', reconnect_window_s: 30, takeover: 'reject' });
  const settings = { ...settingsOf(own), ladder: 'default', window: 'default', takeover: 'default' } as const;
  expect(changes(own, settings)).toEqual({ ladder: 'default', reconnect_window_s: null, takeover: null });
});

it('a_window_is_whole_seconds_within_its_bounds', () => {
  const settings = settingsOf(stream());
  const wrong = (windowS: string) => fault({ ...settings, window: 'own', windowS }) !== null;
  expect(['0', '300', ' 20 '].map(wrong)).toEqual([false, false, false]);
  expect(['', '301', '-1', '2.5', 'x', '1e2'].map(wrong)).toEqual([true, true, true, true, true, true]);
  expect(fault({ ...settings, windowS: 'x' })).toBeNull();
});

it('a_ladder_of_its_own_needs_rungs', () => {
  expect(fault({ ...settingsOf(stream()), ladder: 'own', rungs: ' ' })).toMatch(/rungs/);
});

it('a_typed_name_becomes_one_the_server_takes_where_that_is_clear', () => {
  expect(tidyName('Friday  Show')).toBe('friday-show');
  expect(nameFault('friday-show')).toBeNull();
  expect(nameFault('a'.repeat(63))).toBeNull();
  for (const name of ['', '-a', '_a', 'a'.repeat(64), 'café', 'a/b', 'A']) expect(nameFault(name), name).not.toBeNull();
});
