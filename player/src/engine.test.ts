import { expect, it } from 'vitest';
import { rungLabel, rungLabels } from './engine.ts';

it('rungs_are_named_by_their_lines', () => {
  expect(rungLabel(1280, 720, 30)).toBe('720p');
  expect(rungLabel(1920, 1080, 59.94)).toBe('1080p60');
  expect(rungLabel(720, 1280, 25)).toBe('720p');
});

it('twins_are_told_apart_by_rate', () => {
  const rung = { width: 1280, height: 720, frameRate: 30 };
  expect(rungLabels([{ ...rung, bitrate_bps: 6_000_000 }, { ...rung, bitrate_bps: 2_800_000 }])).toEqual(['720p 6.0 Mb/s', '720p 2.8 Mb/s']);
  expect(rungLabels([{ width: 0, height: 0, frameRate: 0, bitrate_bps: 128_000 }])).toEqual(['Sound only']);
});
