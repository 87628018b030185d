import { expect, it } from 'vitest';
import { decodePage, decodeRecording, idInPath, isChanging, lengthOf, pagePath, ticketIn, titleOf } from './shape.ts';

const ID = '0198c0de-0000-7000-8000-000000000001';
const FULL = {
  id: ID, stream: 'demo', title: 'Friday', description: 'one\ntwo', tags: ['Jazz', 7, 'Live'], visibility: 'unlisted', status: 'failed',
  reason: 'The disk was full.', started_ms: 5, ended_ms: 9, duration_ms: 61_000, size_bytes: 12, renditions: ['source', '480p'],
  clip_of: 'other', trashed_ms: 8, chapters: [{ at_ms: 1_500, title: 'Song' }, 7], hls: '/x', watch: '/y', later: {},
};

it('reads_a_recording', () => {
  expect(decodeRecording(FULL)).toEqual({
    id: ID, stream: 'demo', title: 'Friday', description: 'one\ntwo', tags: ['Jazz', 'Live'], visibility: 'unlisted', status: 'failed',
    reason: 'The disk was full.', percent: null, startedMs: 5, durationMs: 61_000, sizeBytes: 12, renditions: ['source', '480p'], clipOf: 'other',
    chapters: [{ at_s: 1.5, title: 'Song' }], trashedMs: 8, hls: '/x', thumb: `/vod/${ID}/thumb.jpg`,
  });
});

it('an_id_alone_is_a_recording_and_nothing_is_made_up', () => {
  expect(decodeRecording({ id: 'a', visibility: 'friends', status: 'archived', duration_ms: -4 })).toEqual({
    id: 'a', stream: '', title: '', description: '', tags: [], visibility: 'private', status: 'processing', reason: '', percent: null, startedMs: null,
    durationMs: 0, sizeBytes: null, renditions: [], clipOf: null, chapters: [], trashedMs: null, hls: '/vod/a/index.m3u8',
    thumb: '/vod/a/thumb.jpg',
  });
  for (const junk of [null, undefined, 'x', 3, [], { title: 'no id' }]) expect(decodeRecording(junk)).toBeNull();
});

it('reads_a_page', () => {
  const page = decodePage({ recordings: [FULL, null, { title: 'no id' }], next: 'abc', total: 40 });
  expect([page.recordings.length, page.next, page.total]).toEqual([1, 'abc', 40]);
  expect(decodePage('nonsense')).toEqual({ recordings: [], next: null, total: null });
});

it('a_recording_has_a_name_to_read_and_a_length_to_watch', () => {
  const recording = decodeRecording({ id: 'a', stream: 'demo', started_ms: 1_000, duration_ms: 4_000 });
  if (!recording) throw new Error('no recording');
  expect([titleOf(recording), titleOf({ ...recording, stream: '' }), titleOf({ ...recording, title: 'T' })]).toEqual(['demo', 'Recording', 'T']);
  expect(lengthOf(recording, 91_000)).toBe(4);
  expect(lengthOf({ ...recording, status: 'recording' }, 91_000)).toBe(90);
  expect(lengthOf({ ...recording, status: 'recording' }, 0)).toBe(4);
});

it('one_that_runs_or_is_made_ready_changes_by_itself', () => {
  const changes = ['recording', 'processing', 'available', 'failed'].filter((status) => {
    const recording = decodeRecording({ id: 'a', status });
    return recording && isChanging(recording);
  });
  expect(changes).toEqual(['recording', 'processing']);
});

it('addresses_hold_the_id', () => {
  const paths = decodeRecording({ id: 'a/b', thumb: '/p/t/vod/a/thumb.jpg' });
  expect([pagePath(ID), paths?.hls, paths?.thumb]).toEqual([`/recordings/${ID}`, '/vod/a%2Fb/index.m3u8', '/p/t/vod/a/thumb.jpg']);
  expect([ticketIn('?t=5&ticket=abc'), ticketIn('')]).toEqual(['abc', null]);
  expect([idInPath(`/recordings/${ID}`), idInPath(`/embed/recordings/${ID}`)]).toEqual([ID, ID]);
});
