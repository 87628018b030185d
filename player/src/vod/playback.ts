/**
 * What the player of a recording is doing and what it does next: a pure state machine like the live one's
 * (`../playback.ts`), with less to happen. Nothing has to be caught up with; what is lost is asked for again, and the
 * picture goes on where it stood. `viewer.ts` beside it has the hands.
 */
import { RECOVER_AGAIN_MS, RESUMES, STEADY_MS, retryDelay, type Millis } from '../retry.ts';

export type Phase =
  /** The playlist was asked for and no picture has come yet. */
  | { kind: 'opening'; since: Millis }
  /** There is a picture, moving or held. */
  | { kind: 'playing'; since: Millis }
  /**
   * Something broke; the next attempt begins at `retryAt`. `tried`: one was made and its success would show as a
   * moving picture. Before that a moving picture is only what was buffered.
   */
  | { kind: 'reconnecting'; retryAt: Millis; tried: boolean }
  /** The server knows no such recording any more. */
  | { kind: 'gone' }
  /** This browser cannot play it. */
  | { kind: 'unsupported'; reason: string };

export interface Playback {
  readonly phase: Phase;
  /** There was a picture since the page opened. */
  readonly seen: boolean;
  /** Attempts since the last `STEADY_MS` of good playing. */
  readonly attempts: number;
  /** The engine cannot go on as it is: the next attempt opens a new one. */
  readonly rebuild: boolean;
  /** What was asked for last was answered with 404. */
  readonly missed: boolean;
  /** When the decoder was last reset in place. */
  readonly recoveredAt: Millis | null;
}

export type Fact =
  | { type: 'tick' }
  /** The picture advanced, or is there while it is held. */
  | { type: 'rolling' }
  /** Nothing moves and nothing comes, for too long. */
  | { type: 'stuck' }
  /** The network or the server failed for good, as far as the engine can tell. */
  | { type: 'lost' }
  /** A playlist or a segment answered 404. */
  | { type: 'gone' }
  /** The decoder or the media source failed. */
  | { type: 'broken' }
  | { type: 'unsupported'; reason: string }
  /** The server says that there is no such recording. */
  | { type: 'missing' }
  /** The browser got its network back, or the machine woke from sleep. */
  | { type: 'awake' }
  /** The viewer pressed the button. */
  | { type: 'retry' };

export type Action =
  /** Drop the engine and open the playlist anew, where the picture stood. */
  | 'load'
  /** Keep engine and picture, ask again for what is missing. */
  | 'resume'
  /** Reset the decoder in place. */
  | 'recover'
  /** Drop the engine, keep the last picture as a still. */
  | 'unload'
  /** Ask the server whether there is such a recording. */
  | 'ask';

export interface Step {
  readonly next: Playback;
  readonly actions: readonly Action[];
}

/** An opening without picture is given up after this long. */
export const OPENING_MS = 20_000;

export function start(now: Millis): Step {
  const next: Playback = {
    phase: { kind: 'opening', since: now }, seen: false, attempts: 0, rebuild: false, missed: false, recoveredAt: null,
  };
  return { next, actions: ['load'] };
}

/** `chance`: 0 to 1, spreads attempts. */
export function step(was: Playback, fact: Fact, now: Millis, chance: number): Step {
  const { phase } = was;
  if (phase.kind === 'gone' || phase.kind === 'unsupported') return fact.type === 'retry' ? open(was, now) : stay(was);
  const later = now + retryDelay(was.attempts, chance);
  switch (fact.type) {
    case 'tick':
      if (phase.kind === 'opening' && now - phase.since >= OPENING_MS) return again(was, later, true);
      return phase.kind === 'reconnecting' && now >= phase.retryAt ? attempt(was, now, chance) : stay(was);
    case 'rolling':
      if (phase.kind === 'playing') {
        const isSteady = was.attempts > 0 && now - phase.since >= STEADY_MS;
        return isSteady ? to({ ...was, attempts: 0 }) : stay(was);
      }
      return phase.kind === 'opening' || phase.tried
        ? to({ ...was, phase: { kind: 'playing', since: now }, seen: true, rebuild: false, missed: false })
        : stay(was);
    case 'stuck':
      return phase.kind === 'playing' ? again(was, now, true) : stay(was);
    case 'lost':
      return phase.kind === 'reconnecting' ? stay(was) : again({ ...was, missed: false }, later, phase.kind === 'opening');
    case 'gone':
      return again({ ...was, missed: true }, later, true, 'ask');
    case 'broken':
      if (phase.kind === 'reconnecting') return stay(was);
      if (was.recoveredAt === null || now - was.recoveredAt > RECOVER_AGAIN_MS) return to({ ...was, recoveredAt: now }, 'recover');
      return again(was, later, true);
    case 'unsupported':
      return to({ ...was, phase: { kind: 'unsupported', reason: fact.reason } }, 'unload');
    case 'missing':
      return to({ ...was, phase: { kind: 'gone' } }, 'unload');
    case 'awake':
      return phase.kind === 'reconnecting' ? again(was, now, was.rebuild) : stay(was);
    case 'retry':
      return open(was, now);
  }
}

function attempt(was: Playback, now: Millis, chance: number): Step {
  const next = { ...was, attempts: was.attempts + 1 };
  if (was.rebuild || !was.seen || was.attempts >= RESUMES) return open(next, now);
  // Counts as done when the picture moves; if it does not, the next attempt comes after this wait.
  const retryAt = now + retryDelay(was.attempts + 2, chance);
  return to({ ...next, phase: { kind: 'reconnecting', retryAt, tried: true } }, 'resume');
}

function open(was: Playback, now: Millis): Step {
  return to({ ...was, phase: { kind: 'opening', since: now }, rebuild: false }, 'load');
}

function again(was: Playback, retryAt: Millis, rebuild: boolean, ...actions: Action[]): Step {
  return to({ ...was, phase: { kind: 'reconnecting', retryAt, tried: false }, rebuild: rebuild || was.rebuild }, ...actions);
}

function stay(was: Playback): Step {
  return { next: was, actions: [] };
}

function to(next: Playback, ...actions: Action[]): Step {
  return { next, actions };
}
