import { expect, it } from 'vitest';
import { RECOVER_AGAIN_MS, STEADY_MS } from '../retry.ts';
import { OPENING_MS, start, step, type Action, type Fact, type Playback } from './playback.ts';

/** Runs facts through the machine; `[ms, fact]` pairs, times from the page's opening. */
function run(facts: ReadonlyArray<readonly [number, Fact]>, from: Playback = start(0).next): { state: Playback; actions: Action[] } {
  let state = from;
  let actions: Action[] = [];
  for (const [now, fact] of facts) {
    const { next, actions: todo } = step(state, fact, now, 0.5);
    state = next;
    actions = [...todo];
  }
  return { state, actions };
}

const fact = (type: Exclude<Fact['type'], 'unsupported'>): Fact => ({ type });
const playing = run([[300, fact('rolling')]]).state;

it('opens_the_playlist_at_once_and_plays_when_there_is_a_picture', () => {
  expect(start(0).actions).toEqual(['load']);
  expect(playing.phase.kind).toBe('playing');
});

it('what_is_lost_is_asked_for_again_with_the_same_engine_first', () => {
  const lost = run([[20_000, fact('lost')]], playing);
  expect(lost.actions).toEqual([]);
  const first = run([[20_600, fact('tick')]], lost.state);
  expect(first.actions).toEqual(['resume']);
  const second = run([[30_000, fact('tick')]], first.state);
  expect(second.actions).toEqual(['resume']);
  expect(run([[50_000, fact('tick')]], second.state).actions).toEqual(['load']);
});

it('what_was_buffered_does_not_count_as_back', () => {
  const lost = run([[20_000, fact('lost')], [20_250, fact('rolling')]], playing).state;
  expect(lost.phase.kind).toBe('reconnecting');
  expect(run([[20_600, fact('tick')], [20_850, fact('rolling')]], lost).state.phase.kind).toBe('playing');
});

it('a_missing_playlist_makes_it_ask_whether_the_recording_is_gone', () => {
  const missed = run([[100, fact('gone')]]);
  expect([missed.actions, missed.state.missed]).toEqual([['ask'], true]);
  const gone = run([[150, fact('missing')]], missed.state);
  expect([gone.state.phase.kind, gone.actions]).toEqual(['gone', ['unload']]);
  expect(run([[60_000, fact('tick')], [60_001, fact('awake')]], gone.state).actions).toEqual([]);
  expect(run([[60_000, fact('retry')]], gone.state).actions).toEqual(['load']);
});

it('what_is_there_and_not_handed_out_yet_is_tried_again', () => {
  const missed = run([[100, fact('gone')], [900, fact('tick')]]);
  expect(missed.actions).toEqual(['load']);
  expect(run([[1_000, fact('rolling')]], missed.state).state.missed).toBe(false);
});

it('resets_the_decoder_once_then_rebuilds', () => {
  const first = run([[20_000, fact('broken')]], playing);
  expect(first.actions).toEqual(['recover']);
  const second = run([[20_000 + RECOVER_AGAIN_MS - 1, fact('broken')]], first.state);
  expect(second.state.phase.kind).toBe('reconnecting');
  expect(run([[40_000, fact('tick')]], second.state).actions).toEqual(['load']);
});

it('an_opening_that_shows_nothing_and_a_stuck_picture_get_a_new_engine', () => {
  expect(run([[OPENING_MS, fact('tick')], [OPENING_MS + 600, fact('tick')]]).actions).toEqual(['load']);
  expect(run([[20_000, fact('stuck')], [20_001, fact('tick')]], playing).actions).toEqual(['load']);
});

it('forgets_old_trouble_after_playing_steadily', () => {
  const back = run([[20_000, fact('lost')], [20_600, fact('tick')], [21_000, fact('rolling')]], playing).state;
  expect(back.attempts).toBe(1);
  expect(run([[21_000 + STEADY_MS, fact('rolling')]], back).state.attempts).toBe(0);
});

it('does_not_sit_out_a_wait_when_the_network_is_back', () => {
  const lost = run([[20_000, fact('lost')], [20_100, fact('awake')]], playing).state;
  expect(run([[20_101, fact('tick')]], lost).actions).toEqual(['resume']);
});

it('every_other_state_leads_back_to_a_picture', () => {
  const wanders = [fact('lost'), fact('gone'), fact('broken'), fact('stuck'), fact('awake'), fact('rolling'), fact('tick'), fact('retry')];
  let seed = 7;
  const random = (): number => (seed = (seed * 16807) % 2147483647) / 2147483647;
  for (let round = 0; round < 300; round += 1) {
    let state = start(0).next;
    let now = 0;
    for (let i = 0; i < 20; i += 1) {
      now += random() * 3_000;
      state = step(state, wanders[Math.floor(random() * wanders.length)] ?? fact('tick'), now, random()).next;
    }
    // From here all is well: whatever is loaded plays.
    for (let i = 0; i < 200 && state.phase.kind !== 'playing'; i += 1) {
      now += 250;
      const { next, actions } = step(state, fact('tick'), now, random());
      state = actions.length ? step(next, fact('rolling'), now, 0.5).next : next;
    }
    if (state.phase.kind === 'opening') state = step(state, fact('rolling'), now, 0.5).next;
    expect(state.phase.kind, `round ${round}`).toBe('playing');
  }
});
