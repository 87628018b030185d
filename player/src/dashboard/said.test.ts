import { expect, it } from 'vitest';
import { announced, byUrgency, headline, stoppedUntil } from './said.ts';
import { decodeHealth, decodeStream, type Stream } from './shapes.ts';

function stream(name: string, live: object | null, stopped_until_ms: number | null = null): Stream {
  const made = decodeStream({ name, live, stopped_until_ms });
  if (!made) throw new Error('it has a name');
  return made;
}

it('trouble_stands_first_and_the_rest_by_name', () => {
  const streams = [
    stream('off-b', null),
    stream('off-a', null),
    stream('fine', { state: 'live', verdict: 'good' }),
    stream('fair', { state: 'live', verdict: 'ok' }),
    stream('gone', { state: 'reconnecting', verdict: 'good' }),
    stream('mute', { state: 'stalled', verdict: 'good' }),
    stream('awful', { state: 'live', verdict: 'bad' }),
  ];
  expect(streams.sort(byUrgency).map(({ name }) => name)).toEqual(['awful', 'mute', 'gone', 'fair', 'fine', 'off-a', 'off-b']);
});

it('a_stop_is_over_when_its_time_is', () => {
  const stopped = stream('a', null, 100);
  expect([stoppedUntil(stopped, 99), stoppedUntil(stopped, 100), stoppedUntil(stream('a', null), 0)]).toEqual([100, null, null]);
});

it('a_stream_of_which_nothing_comes_is_not_called_good', () => {
  expect(headline('live', 'good').word).toBe('Good');
  expect(headline('stalled', 'good')).toEqual({ word: 'Stalled', tone: 'bad' });
  expect(headline('off', 'no_data').word).toBe('Off');
});

it('a_screen_reader_hears_the_worst_and_its_cure', () => {
  const issues = [{ problem: 'Too slow.', cure: 'Lower the bit rate.' }, { problem: 'Also this.', cure: 'And that.' }];
  expect(announced('demo', decodeHealth({ verdict: 'bad', issues }))).toBe('demo: bad. Too slow. Lower the bit rate.');
  expect(announced('demo', decodeHealth({ verdict: 'good' }))).toBe('demo: good.');
});
