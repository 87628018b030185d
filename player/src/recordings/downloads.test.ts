import { expect, it } from 'vitest';
import { decodeDownloads, downloadSaid } from './downloads.ts';

const file = (rendition: string, begins_ms: number) => ({ rendition, href: `/vod/a/${rendition}/download-1.mp4`, begins_ms, duration_ms: 60_000, size_bytes: 9 });

it('files_are_called_by_their_pictures_and_parts_by_their_time', () => {
  const files = decodeDownloads({ downloads: [file('source', 0), file('source', 60_000), file('720p', 0)] });
  const stamp = (s: number) => `${s} s`;
  expect(files.map((each) => downloadSaid(each, files, stamp))).toEqual(['Original, from 0 s to 60 s', 'Original, from 60 s to 120 s', '720p']);
});

it('a_link_to_elsewhere_is_none', () => {
  expect(decodeDownloads({ downloads: [{ ...file('source', 0), href: 'https://elsewhere/' }] })).toEqual([]);
  expect(decodeDownloads(null)).toEqual([]);
});
