import { expect, it } from 'vitest';
import { decodeLiveList, decodeStream } from './api.ts';

it('reads_a_list', () => {
  const body = {
    now_ms: 1_700_000_000_000,
    ingest: { rtmp: 'rtmp://host:1935/live' },
    streams: [{ name: 'demo', title: 'A show', state: 'reconnecting', since_ms: 5, width: 1280, height: 720, thumb: '/live/demo/thumb.jpg', rewind: '/rewind/demo/index.m3u8', session: 'a-1', later: {} }],
  };
  expect(decodeLiveList(body)).toEqual({
    nowMs: 1_700_000_000_000,
    doors: { rtmp: 'rtmp://host:1935/live', rtmps: null },
    streams: [{ name: 'demo', title: 'A show', away: true, slate: false, sinceMs: 5, width: 1280, height: 720, thumb: '/live/demo/thumb.jpg', rewind: '/rewind/demo/index.m3u8', session: 'a-1' }],
  });
});

it('a_slate_is_something_to_play', () => {
  const { away, slate } = decodeStream({ name: 'demo', state: 'reconnecting', slate: true }) ?? {};
  expect([away, slate]).toEqual([false, true]);
});

it('does_without_what_is_missing_and_leaves_out_what_is_nonsense', () => {
  expect(decodeStream({ name: 'radio', title: '', width: null })).toEqual({ name: 'radio', title: 'radio', away: false, slate: false, sinceMs: null, width: 0, height: 0, thumb: null, rewind: null, session: null });
  expect(decodeLiveList({ streams: [null, 7, { title: 'no name' }, { name: 'ok' }] }).streams.map((s) => s.name)).toEqual(['ok']);
  for (const junk of [null, undefined, 'x', 3, []]) expect(decodeLiveList(junk).streams).toEqual([]);
});
