import { expect, it } from 'vitest';
import { detailLines } from './detail.ts';

const NOON = new Date(2026, 6, 9, 12, 0, 0).getTime();

it('of_settings_only_what_changed_is_told', () => {
  const before = { title: 'Thursday', ladder: null, reconnect_window_s: null, passthrough: true };
  const after = { title: 'Friday', ladder: null, reconnect_window_s: 45, passthrough: false };
  expect(detailLines({ stream: '01a2', before, after }, NOON)).toEqual([
    'title: “Friday” instead of “Thursday”',
    'reconnect window: 45 s instead of –',
    'passthrough: no instead of yes',
  ]);
});

it('times_are_times_and_lists_are_read_out', () => {
  const kept = [{ key: 'old1', expires_ms: NOON + 60_000 }];
  expect(detailLines({ key: 'new1', kept, stopped_until_ms: NOON + 1_000, gone: null, revoked: [] }, NOON)).toEqual(['key: new1', 'kept: key old1, expires 12:01:00', 'stopped until: 12:00:01']);
});

it('settings_that_say_nothing_are_left_out', () => {
  const settings = { title: 'Demo', ladder: null, passthrough: true };
  expect(detailLines({ settings }, NOON)).toEqual(['settings: title “Demo”, passthrough yes']);
});

it('half_of_a_change_is_still_shown', () => {
  expect(detailLines({ after: 3, odd: undefined }, NOON)).toEqual(['after: 3', 'odd: –']);
});
