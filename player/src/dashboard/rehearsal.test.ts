import { expect, it } from 'vitest';
import { decodeRehearsal, scoreSaid, share, toMend } from './rehearsal.ts';

const FLAW = { code: 'b_frames', severity: 'warning', seconds: 60, problem: 'Three B-frames.', cure: 'Set two.' };
const ISSUE = { code: 'uplink', severity: 'bad', problem: 'Too slow.', cure: 'Send less.' };

it('reads_a_rehearsal_that_is_on', () => {
  const rehearsal = decodeRehearsal({
    state: 'running', since_ms: 5, longest_s: 600, left_s: 42, score: null, flaws: [FLAW, { code: 'mystery' }],
    health: { verdict: 'bad', issues: [{ ...ISSUE, since_ms: 3 }] }, encoder: 'obs-studio 30', preview: '/watch/demo~a2b3', later: true,
  });
  expect(rehearsal).toEqual({
    state: 'running', sinceMs: 5, longestS: 600, leftS: 42, score: null, flaws: [FLAW],
    health: {
      verdict: 'bad', issues: [{ ...ISSUE, value: null, limit: null, unit: '', sinceMs: 3 }], measured: null,
    },
    encoder: 'obs-studio 30', preview: 'demo~a2b3',
  });
});

it('nothing_and_nonsense_is_no_rehearsal', () => {
  const none = {
    state: 'none', sinceMs: null, longestS: null, leftS: 60, score: null, flaws: [], health: null, encoder: null, preview: null,
  };
  for (const junk of [null, undefined, 'x', 3, [], {}, { state: 'paused', health: 'fine', flaws: 4 }]) {
    expect(decodeRehearsal(junk)).toEqual(none);
  }
});

it('what_is_left_stays_within_the_minute', () => {
  expect([-1, 0, 60, 90].map((left_s) => decodeRehearsal({ left_s }).leftS)).toEqual([0, 0, 60, 60]);
});

it('a_preview_is_a_page_of_this_server', () => {
  for (const preview of ['javascript:alert(1)', '//elsewhere/watch/demo~a', '/watch/demo~a/../../dock', '/watch/%', '']) {
    expect(decodeRehearsal({ preview }).preview, preview).toBeNull();
  }
});

it('a_score_is_a_word', () => {
  const words = [100, 90, 89, 70, 69, 0].map((score) => scoreSaid(score).word);
  const [ready, works, mend] = ['Ready to go live', 'It will work', 'Mend this first'];
  expect(words).toEqual([ready, ready, works, works, mend, mend]);
});

it('a_flaw_says_how_much_of_the_minute_it_took', () => {
  const { flaws } = decodeRehearsal({ flaws: [FLAW, { ...FLAW, seconds: 12 }] });
  expect(flaws.map(share)).toEqual(['The whole minute', '12 s of the minute']);
});

it('what_is_wrong_now_is_mended_first_and_is_not_said_twice', () => {
  const rehearsal = decodeRehearsal({ flaws: [FLAW, { ...FLAW, code: 'uplink' }], health: { issues: [ISSUE] } });
  expect(toMend(rehearsal).map(({ code }) => code)).toEqual(['uplink', 'b_frames']);
});
