/**
 * What the player is doing and what it does next: a pure state machine. Facts come in (`Fact`, with the time), a new
 * state and the actions to carry out come back. It reads no clock, touches no element and starts no request; `viewer.ts`
 * does all of that. One rule above all: every state but `unsupported` leads back to a picture without the viewer's help.
 */
import { RECOVER_AGAIN_MS, RESUMES, STEADY_MS, retryDelay, type Millis } from './retry.ts';

export type Phase =
  /** The multivariant playlist was asked for and no picture has come yet. */
  | { kind: 'opening' }
  /** Nothing is published under this name; the server is asked again and again. */
  | { kind: 'waiting' }
  /** The picture moves. */
  | { kind: 'playing'; since: Millis }
  /**
   * Something broke; the next attempt begins at `retryAt`. `tried`: one was made and its success would show as a
   * moving picture. Before that a moving picture is only what was buffered.
   */
  | { kind: 'reconnecting'; retryAt: Millis; tried: boolean }
  /** The publisher lost its connection and may come back to the same session; the server is asked again and again. */
  | { kind: 'away' }
  /** The stream was finished by its publisher; the server is asked whether a new one began. */
  | { kind: 'ended' }
  /** The link of a private stream is no good, or not any more; the server is asked again and again, as the stream may be opened. */
  | { kind: 'refused'; reason: string }
  /** This browser cannot play the stream; only the viewer can try again. */
  | { kind: 'unsupported'; reason: string };

export interface Playback {
  readonly phase: Phase;
  /** The session being played, when the server named one. A new one needs a new multivariant playlist. */
  readonly session: string | null;
  /** A picture of this stream was seen since the page opened: decides between `ended` and `waiting`. */
  readonly seen: boolean;
  /** Attempts since the last `STEADY_MS` of good playing. */
  readonly attempts: number;
  /** The engine cannot go on as it is: the next attempt opens a new one. */
  readonly rebuild: boolean;
  /** The server said that the publisher is away. The picture may still move: what is buffered, or a slate. */
  readonly away: boolean;
  /** When the decoder was last reset in place. */
  readonly recoveredAt: Millis | null;
  /** When the server was last asked whether the stream is live. */
  readonly probedAt: Millis;
}

export type Fact =
  | { type: 'tick' }
  /** The picture advanced. */
  | { type: 'rolling' }
  /** The picture should advance and does not. */
  | { type: 'standing' }
  /** The same, for too long. */
  | { type: 'stuck' }
  /** The network or the server failed for good, as far as the engine can tell. */
  | { type: 'lost' }
  /** A playlist answered 404: this session, or the stream, is over. */
  | { type: 'gone' }
  /** The decoder or the media source failed. */
  | { type: 'broken' }
  /** The playlist was closed and everything in it was played. */
  | { type: 'finished' }
  /** The playlist was closed; some of it is still to be played. */
  | { type: 'closing' }
  | { type: 'unsupported'; reason: string }
  /** The server says the stream is live, and which session it is (null when it does not say). */
  | { type: 'live'; session: string | null }
  /** The server says that the publisher is away from a session that goes on. */
  | { type: 'away'; session: string }
  | { type: 'not_live' }
  /** The server takes the link for no good. */
  | { type: 'refused'; reason: string }
  /** The browser got its network back, or the machine woke from sleep. */
  | { type: 'awake' }
  /** The viewer pressed the button. */
  | { type: 'retry' };

export type Action =
  /** Drop the engine and open the multivariant playlist anew. */
  | 'load'
  /** Keep engine and picture, ask for playlists and parts again. */
  | 'resume'
  /** Reset the decoder in place. */
  | 'recover'
  /** Drop the engine, keep the last picture as a still. */
  | 'unload'
  /** Ask the server whether the stream is live. */
  | 'probe';

export interface Step {
  readonly next: Playback;
  readonly actions: readonly Action[];
}

/** Between two questions while nothing plays: with the opening itself a new stream shows within 2 s. */
export const PROBE_IDLE_MS = 1_200;
/** Between two questions while reconnecting: sooner than attempts that wait for 8 s, and far cheaper. */
export const PROBE_LOST_MS = 2_000;
/** Between two questions while playing: only for the title and a session that changed unseen. */
export const PROBE_PLAYING_MS = 10_000;
/** An opening without picture is given up after this long; a playlist may be held for 8 s. */
export const OPENING_MS = 15_000;
/** A playlist that is not there may be there a moment later: streams are listed before their first segment closes. */
const GONE_MAX_MS = 1_000;

export function start(now: Millis): Step {
  const next: Playback = {
    phase: { kind: 'opening' }, session: null, seen: false, attempts: 0, rebuild: false, away: false,
    recoveredAt: null, probedAt: now,
  };
  return { next, actions: ['load', 'probe'] };
}

export function step(was: Playback, fact: Fact, now: Millis, chance: number): Step {
  const { phase } = was;
  if (phase.kind === 'unsupported') return fact.type === 'retry' ? open(was, now) : stay(was);
  switch (fact.type) {
    case 'tick':
      return tick(was, now, chance);
    case 'rolling':
      if (phase.kind === 'playing') {
        const steady = was.attempts > 0 && now - phase.since >= STEADY_MS;
        return steady ? to({ ...was, attempts: 0 }) : stay(was);
      }
      return phase.kind === 'opening' || (phase.kind === 'reconnecting' && phase.tried)
        ? to({ ...was, phase: { kind: 'playing', since: now }, seen: true, rebuild: false })
        : stay(was);
    case 'standing':
      if (phase.kind !== 'playing') return stay(was);
      if (was.away) return to({ ...was, phase: { kind: 'away' }, probedAt: now }, 'unload');
      return now - was.probedAt >= PROBE_IDLE_MS ? to({ ...was, probedAt: now }, 'probe') : stay(was);
    case 'stuck':
      return phase.kind === 'playing' ? again(was, now, true, 'probe') : stay(was);
    case 'lost':
      if (phase.kind !== 'playing' && phase.kind !== 'opening') return stay(was);
      return again(was, now + retryDelay(was.attempts, chance), phase.kind === 'opening');
    case 'gone':
      if (phase.kind === 'waiting' || phase.kind === 'ended' || phase.kind === 'away' || phase.kind === 'refused') return stay(was);
      // Whether there is something else to open the server knows best. It did answer, so asking soon is fair.
      return again({ ...was, probedAt: now }, now + Math.min(retryDelay(was.attempts, chance), GONE_MAX_MS), true, 'probe');
    case 'broken':
      if (phase.kind !== 'playing' && phase.kind !== 'opening') return stay(was);
      if (was.recoveredAt === null || now - was.recoveredAt > RECOVER_AGAIN_MS) {
        return to({ ...was, recoveredAt: now }, 'recover');
      }
      return again(was, now + retryDelay(was.attempts, chance), true);
    case 'closing':
      return phase.kind === 'playing' ? to({ ...was, probedAt: now }, 'probe') : stay(was);
    case 'finished':
      return phase.kind === 'ended' || phase.kind === 'waiting' || phase.kind === 'refused'
        ? stay(was)
        : to({ ...was, phase: { kind: 'ended' }, probedAt: now }, 'unload', 'probe');
    case 'unsupported':
      return to({ ...was, phase: { kind: 'unsupported', reason: fact.reason } }, 'unload');
    case 'live':
      return live(was, fact.session, now);
    case 'away':
      return awayFrom(was, fact.session, now);
    case 'not_live':
      return notLive(was, now);
    case 'refused':
      return refused(was, fact.reason, now);
    case 'awake':
      if (phase.kind === 'reconnecting') return again(was, now, was.rebuild);
      return to({ ...was, probedAt: now }, 'probe');
    case 'retry':
      return open(was, now);
  }
}

function tick(was: Playback, now: Millis, chance: number): Step {
  const { phase } = was;
  const asked = now - was.probedAt;
  switch (phase.kind) {
    case 'waiting':
    case 'away':
    case 'ended':
    case 'refused':
      return asked >= PROBE_IDLE_MS ? to({ ...was, probedAt: now }, 'probe') : stay(was);
    case 'playing':
      return asked >= PROBE_PLAYING_MS ? to({ ...was, probedAt: now }, 'probe') : stay(was);
    case 'opening':
      return asked >= OPENING_MS ? again(was, now + retryDelay(was.attempts, chance), true) : stay(was);
    case 'reconnecting': {
      if (now < phase.retryAt) {
        const due = asked >= PROBE_LOST_MS * (0.8 + 0.4 * chance);
        return due ? to({ ...was, probedAt: now }, 'probe') : stay(was);
      }
      const next = { ...was, attempts: was.attempts + 1, probedAt: now };
      if (was.rebuild || !was.seen || was.attempts >= RESUMES) {
        return to({ ...next, phase: { kind: 'opening' }, rebuild: false }, 'load', 'probe');
      }
      // Counts as done when the picture moves; if it does not, the next attempt comes after this wait.
      const retryAt = now + retryDelay(was.attempts + 2, chance);
      return to({ ...next, phase: { kind: 'reconnecting', retryAt, tried: true } }, 'resume', 'probe');
    }
    case 'unsupported':
      return stay(was);
  }
}

function live(was: Playback, session: string | null, now: Millis): Step {
  const known = { ...was, session: session ?? was.session, away: false };
  switch (was.phase.kind) {
    case 'waiting':
    case 'away':
    case 'refused':
      return open(known, now, session);
    case 'ended':
      // The playlist that just ended may be listed for a moment longer; only another session is news.
      return session !== null && session === was.session ? stay(was) : open(known, now, session);
    case 'playing':
    case 'opening':
    case 'reconnecting': {
      if (session !== null && was.session !== null && session !== was.session) return open(known, now, session);
      // The server is back: no need to sit out a long wait.
      const waits = was.phase.kind === 'reconnecting' && was.attempts > RESUMES;
      return waits ? again(known, now, known.rebuild) : to(known);
    }
    case 'unsupported':
      return stay(was);
  }
}

function awayFrom(was: Playback, session: string, now: Millis): Step {
  switch (was.phase.kind) {
    case 'playing':
      // Shown to its end; `standing` will tell.
      return to({ ...was, away: true });
    case 'ended':
      if (session === was.session) return stay(was);
      return to({ ...was, phase: { kind: 'away' }, away: true, session, probedAt: now });
    case 'opening':
    case 'reconnecting':
    case 'waiting':
    case 'refused':
      // There is nothing new to play, and what is listed would only be shown once more.
      return to({ ...was, phase: { kind: 'away' }, away: true, rebuild: false, session, probedAt: now }, 'unload');
    case 'away':
    case 'unsupported':
      return stay(was);
  }
}

function notLive(was: Playback, now: Millis): Step {
  // While the picture moves the playlists are the truth: they end by themselves.
  if (was.phase.kind === 'playing' || was.phase.kind === 'waiting' || was.phase.kind === 'ended') return stay(was);
  const kind = was.seen ? 'ended' : 'waiting';
  return to({ ...was, phase: { kind }, rebuild: false, away: false, attempts: 0, probedAt: now }, 'unload');
}

/** The media is refused from the same moment on, so a picture that still moves is no reason to wait. */
function refused(was: Playback, reason: string, now: Millis): Step {
  if (was.phase.kind === 'refused' && was.phase.reason === reason) return stay(was);
  return to({ ...was, phase: { kind: 'refused', reason }, rebuild: false, away: false, attempts: 0, probedAt: now }, 'unload');
}

function open(was: Playback, now: Millis, session: string | null = null): Step {
  const next: Playback = { ...was, phase: { kind: 'opening' }, session: session ?? was.session, rebuild: false, probedAt: now };
  return to(next, 'load');
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
