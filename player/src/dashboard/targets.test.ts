import { expect, it } from 'vitest';
import { decodeChecked, decodeServices, decodeTargets, nextTry, targetSaid } from './targets.ts';

const LIVE = {
  id: 'a', name: 'YouTube', service: 'youtube', url: 'rtmps://a/live2', silence: false, state: 'live', since_ms: 5, next_try_ms: null,
  bitrate_bps: 2_500_000, sent_bytes: 7, dropped_units: 3, drops: 1, connects: 1, round_trip_ms: 12.4, fault: null,
  advice: [{ code: 'no_audio', message: 'The stream has no sound.' }, {}], created_ms: 1,
};

it('reads_a_target_and_how_its_copy_does', () => {
  const [target] = decodeTargets({ targets: [LIVE] });
  expect(target).toEqual({
    id: 'a', name: 'YouTube', url: 'rtmps://a/live2', rendition: null, state: 'live', sinceMs: 5, nextTryMs: null, bitrateBps: 2_500_000, droppedUnits: 3,
    roundTripMs: 12.4, fault: null, advice: ['The stream has no sound.'],
  });
});

it('nonsense_is_no_target_and_a_new_state_is_unknown', () => {
  for (const junk of [null, 3, {}, { targets: [{ id: 'a' }, null] }]) expect(decodeTargets(junk)).toEqual([]);
  const [target] = decodeTargets({ targets: [{ id: 'a', url: 'rtmp://h/a', state: 'singing' }] });
  expect(target && targetSaid(target)).toEqual({ word: 'Unknown', tone: 'idle' });
});

it('a_live_target_with_advice_is_not_all_well', () => {
  const [advised] = decodeTargets({ targets: [LIVE] });
  const [well] = decodeTargets({ targets: [{ ...LIVE, advice: [] }] });
  expect([advised, well].map((target) => target && targetSaid(target).tone)).toEqual(['warning', 'good']);
});

it('the_next_try_is_told_in_seconds', () => {
  const [target] = decodeTargets({ targets: [{ ...LIVE, next_try_ms: 10_500 }] });
  expect(target && [nextTry(target, 6_900), nextTry(target, 10_600)]).toEqual(['in 4 s', 'now']);
});

it('a_check_is_told_in_a_sentence', () => {
  expect(decodeChecked({ ok: true, taken_ms: 30.2 }).said).toMatch(/^It answers in 30 ms\./);
  expect(decodeChecked({ ok: false, fault: { message: 'Nobody is there.' } })).toEqual({ ok: false, said: 'Nobody is there.' });
  expect(decodeChecked(null).ok).toBe(false);
});

it('reads_the_services', () => {
  const told = { services: [{ id: 'twitch', name: 'Twitch', url: 'rtmps://x/app', has_ingests: true }, {}, { id: 'custom', url: '' }] };
  expect(decodeServices(told).map(({ id, hasUrl, hasIngests }) => [id, hasUrl, hasIngests])).toEqual([
    ['twitch', true, true], ['custom', false, false],
  ]);
});
