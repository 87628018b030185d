import { describe, expect, it } from 'vitest';
import {
  OPENING_MS, PROBE_IDLE_MS, PROBE_PLAYING_MS, start, step, type Action, type Fact, type Playback,
} from './playback.ts';
import { RECOVER_AGAIN_MS, STEADY_MS } from './retry.ts';

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

const live = (session: string | null = 's1'): Fact => ({ type: 'live', session });
const away = (session = 's1'): Fact => ({ type: 'away', session });
const fact = (type: 'tick' | 'rolling' | 'standing' | 'stuck' | 'lost' | 'gone' | 'broken' | 'finished' | 'not_live' | 'awake' | 'retry'): Fact => ({ type });
const playing = run([[100, live()], [300, fact('rolling')]]).state;

describe('playback', () => {
  it('opens_the_playlist_and_asks_the_server_at_once', () => {
    expect(start(0).actions).toEqual(['load', 'probe']);
  });

  it('waits_when_nothing_is_published', () => {
    const { state, actions } = run([[20, fact('gone')], [40, fact('not_live')]]);
    expect(state.phase.kind).toBe('waiting');
    expect(actions).toEqual(['unload']);
  });

  it('a_link_that_is_no_good_ends_the_picture_and_is_asked_about_until_it_opens', () => {
    const refused: Fact = { type: 'refused', reason: 'expired' };
    const { state, actions } = run([[10_000, fact('gone')], [10_020, refused]], playing);
    expect([state.phase, actions]).toEqual([{ kind: 'refused', reason: 'expired' }, ['unload']]);
    expect(run([[10_040, refused]], state).actions).toEqual([]);
    expect(run([[10_020 + PROBE_IDLE_MS, fact('tick')]], state).actions).toEqual(['probe']);
    expect(run([[12_000, live()]], state)).toMatchObject({ state: { phase: { kind: 'opening' } }, actions: ['load'] });
    expect(run([[12_000, fact('not_live')]], state).state.phase.kind).toBe('ended');
    expect(run([[40, refused], [2_000, fact('not_live')]]).state.phase.kind).toBe('waiting');
  });

  it('starts_by_itself_when_the_stream_begins', () => {
    const { state, actions } = run([[40, fact('not_live')], [5_000, live()]]);
    expect(state.phase.kind).toBe('opening');
    expect(actions).toEqual(['load']);
  });

  it('asks_again_and_again_while_waiting', () => {
    const waiting = run([[40, fact('not_live')]]).state;
    expect(run([[40 + PROBE_IDLE_MS, fact('tick')]], waiting).actions).toEqual(['probe']);
    expect(run([[40 + PROBE_IDLE_MS - 1, fact('tick')]], waiting).actions).toEqual([]);
  });

  it('resumes_with_the_same_engine_first_then_builds_a_new_one', () => {
    const lost = run([[20_000, fact('lost')]], playing).state;
    const first = run([[20_600, fact('tick')]], lost);
    expect(first.actions).toContain('resume');
    const second = run([[30_000, fact('tick')]], first.state);
    expect(second.actions).toContain('resume');
    const third = run([[50_000, fact('tick')]], second.state);
    expect(third.actions).toContain('load');
  });

  it('what_was_buffered_does_not_count_as_back', () => {
    const lost = run([[20_000, fact('lost')], [20_250, fact('rolling')]], playing).state;
    expect(lost.phase.kind).toBe('reconnecting');
    expect(run([[20_600, fact('tick')], [20_850, fact('rolling')]], lost).state.phase.kind).toBe('playing');
  });

  it('never_stops_trying_while_the_server_is_silent', () => {
    let state = run([[20_000, fact('lost')]], playing).state;
    let tries = 0;
    for (let now = 20_000; now < 20_000 + 3_600_000; now += 250) {
      const { next, actions } = step(state, { type: 'tick' }, now, 0.5);
      state = next;
      if (actions.includes('load') || actions.includes('resume')) tries += 1;
      if (state.phase.kind === 'opening') state = step(state, { type: 'lost' }, now, 0.5).next;
    }
    expect(tries).toBeGreaterThan(3_600 / 10);
  });

  it('does_not_sit_out_a_long_wait_when_the_server_is_back', () => {
    const late: Playback = { ...playing, phase: { kind: 'reconnecting', retryAt: 50_000, tried: false }, attempts: 6, rebuild: true, probedAt: 42_000 };
    expect(run([[44_500, fact('tick')]], late).actions).toEqual(['probe']);
    expect(run([[44_600, live('s1')], [44_601, fact('tick')]], late).actions).toContain('load');
  });

  it('forgets_old_trouble_after_playing_steadily', () => {
    const back = run([[20_000, fact('lost')], [20_600, fact('tick')], [21_000, fact('rolling')]], playing).state;
    expect(back.attempts).toBe(1);
    expect(run([[21_000 + STEADY_MS, fact('rolling')]], back).state.attempts).toBe(0);
  });

  it('resets_the_decoder_once_then_rebuilds', () => {
    const first = run([[20_000, fact('broken')]], playing);
    expect(first.actions).toEqual(['recover']);
    expect(first.state.phase.kind).toBe('playing');
    const second = run([[20_000 + RECOVER_AGAIN_MS - 1, fact('broken')]], first.state);
    expect(second.state.phase.kind).toBe('reconnecting');
    expect(run([[40_000, fact('tick')]], second.state).actions).toContain('load');
  });

  it('opens_the_new_session_of_a_restarted_stream', () => {
    const { state, actions } = run([[20_000, live('s2')]], playing);
    expect(actions).toEqual(['load']);
    expect(state.session).toBe('s2');
  });

  it('ignores_the_session_it_already_plays', () => {
    expect(run([[20_000, live('s1')]], playing).actions).toEqual([]);
  });

  it('ends_and_comes_back_only_for_another_session', () => {
    const ended = run([[20_000, fact('finished')]], playing);
    expect(ended.state.phase.kind).toBe('ended');
    expect(ended.actions).toEqual(['unload', 'probe']);
    expect(run([[21_000, live('s1')]], ended.state).actions).toEqual([]);
    expect(run([[22_000, live('s2')]], ended.state).actions).toEqual(['load']);
  });

  it('a_lost_playlist_of_a_finished_stream_reads_as_ended_not_as_waiting', () => {
    const { state } = run([[20_000, fact('gone')], [20_100, fact('not_live')]], playing);
    expect(state.phase.kind).toBe('ended');
  });

  it('opens_anew_soon_when_a_playlist_is_gone_but_the_stream_is_live', () => {
    const gone = run([[20_000, fact('gone')], [20_050, live('s1')]], playing).state;
    expect(run([[21_100, fact('tick')]], gone).actions).toContain('load');
  });

  it('a_standing_picture_makes_it_ask_why', () => {
    expect(run([[20_000, fact('standing')]], playing).actions).toEqual(['probe']);
    expect(run([[20_000, fact('standing')], [20_250, fact('standing')]], playing).actions).toEqual([]);
  });

  it('plays_out_what_there_is_of_a_publisher_that_is_away_then_waits_for_it', () => {
    const told = run([[20_000, away()], [20_250, fact('rolling')]], playing).state;
    expect(told.phase.kind).toBe('playing');
    const standing = run([[22_000, fact('standing')]], told);
    expect(standing.state.phase.kind).toBe('away');
    expect(standing.actions).toEqual(['unload']);
    expect(run([[22_000 + PROBE_IDLE_MS, fact('tick')]], standing.state).actions).toEqual(['probe']);
    expect(run([[30_000, live('s1')]], standing.state).actions).toEqual(['load']);
    expect(run([[90_000, fact('not_live')]], standing.state).state.phase.kind).toBe('ended');
  });

  it('a_slate_that_moves_is_a_picture', () => {
    const { state } = run([[20_000, away()], [20_250, fact('rolling')], [60_000, live('s1')]], playing);
    expect([state.phase.kind, state.away]).toEqual(['playing', false]);
  });

  it('a_viewer_who_comes_while_the_publisher_is_away_waits', () => {
    expect(run([[50, away()]]).state.phase.kind).toBe('away');
  });

  it('a_stuck_picture_gets_a_new_engine_at_once', () => {
    const stuck = run([[20_000, fact('stuck')]], playing).state;
    expect(run([[20_001, fact('tick')]], stuck).actions).toContain('load');
  });

  it('an_opening_that_shows_nothing_is_tried_again', () => {
    const { state } = run([[OPENING_MS, fact('tick')]]);
    expect(state.phase.kind).toBe('reconnecting');
  });

  it('tries_at_once_when_the_network_or_the_machine_is_back', () => {
    const lost = run([[20_000, fact('lost')], [20_100, fact('awake')]], playing).state;
    expect(run([[20_101, fact('tick')]], lost).actions).toContain('resume');
  });

  it('looks_for_a_changed_session_now_and_then_while_playing', () => {
    expect(run([[PROBE_PLAYING_MS + 100, fact('tick')]], playing).actions).toEqual(['probe']);
  });

  it('a_browser_that_cannot_play_waits_for_the_viewer', () => {
    const cannot = run([[500, { type: 'unsupported', reason: 'no decoder' }], [60_000, fact('tick')], [70_000, live('s2')]]).state;
    expect(cannot.phase.kind).toBe('unsupported');
    expect(run([[80_000, fact('retry')]], cannot).actions).toEqual(['load']);
  });

  it('every_other_state_leads_back_to_a_picture', () => {
    const wanders: Fact[] = [
      fact('lost'), fact('gone'), fact('broken'), fact('stuck'), fact('finished'), fact('not_live'), fact('awake'), fact('standing'), live('s1'), live('s2'), away('s1'), away('s2'), fact('rolling'),
    ];
    let seed = 7;
    const random = (): number => (seed = (seed * 16807) % 2147483647) / 2147483647;
    for (let round = 0; round < 300; round += 1) {
      let state = start(0).next;
      let now = 0;
      for (let i = 0; i < 20; i += 1) {
        now += random() * 3_000;
        state = step(state, wanders[Math.floor(random() * wanders.length)] ?? fact('tick'), now, random()).next;
      }
      // From here all is well: the server answers with a new session and whatever is loaded plays.
      for (let i = 0; i < 200 && state.phase.kind !== 'playing'; i += 1) {
        now += 250;
        for (const good of [fact('tick'), live('s3')]) {
          const { next, actions } = step(state, good, now, random());
          state = actions.includes('load') || actions.includes('resume') ? step(next, fact('rolling'), now, 0.5).next : next;
        }
      }
      expect(state.phase.kind, `round ${round}`).toBe('playing');
    }
  });
});
