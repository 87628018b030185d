import { expect, it } from 'vitest';
import { decodeHealth, decodeLog, decodeSample, decodeSamples, decodeStats, decodeStream, decodeStreams } from './shapes.ts';

const LIVE = {
  name: 'demo', title: 'A show', state: 'reconnecting', since_ms: 5, session: 'a', width: 1280, height: 720, fps: 30, slate: true,
  captions: false, viewers: null, thumb: '/live/demo/thumb.jpg',
  renditions: [{ name: '720p', resting: true }, { resting: true }], withheld: ['480p', 7],
  hls: '/p/T-1/live/demo/index.m3u8', watch: '/y', now_ms: 9, verdict: 'ok',
};

it('reads_a_stream_that_is_live', () => {
  const stream = decodeStream({
    name: 'demo', title: 'A show', ladder: '720p:2800k', passthrough: false, reconnect_window_s: 0, takeover: 'reject', slate: 'image',
    slate_image: true, latency: 'standard', visibility: 'private', stopped_until_ms: 7, created_ms: 1,
    keys: [{ id: 'abc', created_ms: 2, expires_ms: null }, {}], live: LIVE, key: 'wk_abc_secret',
  });
  expect(stream).toEqual({
    name: 'demo', title: 'A show', ladder: '720p:2800k', passthrough: false, reconnectWindowS: 0, takeover: 'reject', slate: 'image',
    slateImage: true, latency: 'standard', visibility: 'private', stoppedUntilMs: 7, createdMs: 1,
    keys: [{ id: 'abc', createdMs: 2, expiresMs: null }], key: 'wk_abc_secret',
    live: {
      state: 'reconnecting', sinceMs: 5, width: 1280, height: 720, slate: true, fps: 30, viewers: null, thumb: '/live/demo/thumb.jpg', ticket: 'T-1',
      renditions: [{ name: '720p', resting: true }], withheld: ['480p'], nowMs: 9, verdict: 'ok',
    },
  });
});

it('a_name_alone_is_a_stream_and_nothing_is_made_up', () => {
  expect(decodeStream({ name: 'radio', takeover: 'everyone', slate: 'fog', latency: 'none', live: null })).toEqual({
    name: 'radio', title: '', ladder: null, passthrough: true, reconnectWindowS: null, takeover: null, slate: 'last', slateImage: false,
    latency: 'low', visibility: 'public', stoppedUntilMs: null, createdMs: null, keys: [], live: null, key: null,
  });
  expect(decodeStreams({ streams: [null, { title: 'no name' }, { name: 'ok' }] }).map(({ name }) => name)).toEqual(['ok']);
  for (const junk of [null, undefined, 'x', 3, []]) expect(decodeStreams(junk)).toEqual([]);
});

it('a_verdict_of_a_newer_server_is_no_data', () => {
  expect(decodeStream({ name: 'a', live: { verdict: 'splendid' } })?.live?.verdict).toBe('no_data');
  expect(decodeHealth({ verdict: 'splendid' }).verdict).toBe('no_data');
});

it('keeps_the_order_of_issues_and_drops_those_without_words', () => {
  const health = decodeHealth({
    verdict: 'bad',
    issues: [
      { code: 'uplink', severity: 'bad', value: 0.8, limit: 0.95, unit: 'x', problem: 'Too slow.', cure: 'Send less.' },
      { code: 'mystery', severity: 'bad' },
      { code: 'b_frames', severity: 'odd', problem: 'Three.', cure: 'Two.' },
    ],
    measured: { b_frames: 3, skew_s: null, sample_rate: 48_000 },
  });
  const issues = health.issues.map(({ code, severity, limit }) => [code, severity, limit]);
  expect(issues).toEqual([['uplink', 'bad', 0.95], ['b_frames', 'warning', null]]);
  expect(health.measured).toEqual({ bFrames: 3, sampleRate: 48_000, channels: null, skewS: null, losses: null });
  expect(decodeHealth(null)).toEqual({ verdict: 'no_data', issues: [], measured: null });
});

it('stats_of_a_stream_that_is_off_are_not_known', () => {
  const stats = decodeStats({ stream: 'a', state: 'off', since_ms: null, losses: 0, verdict: 'no_data', peer: null });
  expect([stats.state, stats.bitrateKbps, stats.losses]).toEqual(['off', null, 0]);
  expect(decodeStats('nonsense').state).toBe('off');
});

it('a_second_in_which_nothing_came_is_a_sample', () => {
  expect(decodeSample({ at_ms: 5, video_kbps: null })?.videoKbps).toBeNull();
  const samples = decodeSamples({ step_ms: 1000, samples: [{ at_ms: 1, fps: 30 }, { fps: 30 }, 4] });
  expect(samples.map(({ atMs, fps }) => [atMs, fps])).toEqual([[1, 30]]);
});

it('a_log_row_has_a_time_and_words', () => {
  const rows = [{ seq: 4, at_ms: 1, kind: 'bad', message: 'Lost.' }, { at_ms: 2, kind: 'new', message: 'Odd.' }, { at_ms: 3 }];
  expect(decodeLog({ rows })).toEqual([
    { seq: 4, atMs: 1, kind: 'bad', message: 'Lost.' },
    { seq: null, atMs: 2, kind: 'info', message: 'Odd.' },
  ]);
});
