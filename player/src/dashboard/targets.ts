/** Where copies of a stream go, read off the wire and put in words. */
import { field, list, number, text, word } from '../decode.ts';
import type { Said } from './said.ts';

const STATES = ['idle', 'connecting', 'live', 'retrying', 'refused', 'paused'] as const;
export type TargetState = (typeof STATES)[number];

export interface Target {
  readonly id: string;
  readonly name: string;
  readonly url: string;
  /** What it gets; null: what the encoder sends. */
  readonly rendition: string | null;
  /** Null: a state this page does not know. */
  readonly state: TargetState | null;
  readonly sinceMs: number | null;
  readonly nextTryMs: number | null;
  readonly bitrateBps: number | null;
  readonly droppedUnits: number;
  readonly roundTripMs: number | null;
  /** What went wrong last, in one sentence. */
  readonly fault: string | null;
  /** What the service will not like about the stream. */
  readonly advice: readonly string[];
}

/** A service that takes copies. */
export interface Service {
  readonly id: string;
  readonly name: string;
  /** It has an address of its own. */
  readonly hasUrl: boolean;
  readonly hasIngests: boolean;
  readonly needsAudio: boolean;
}

/** What a knock at a target's door brought. */
export interface Checked {
  readonly ok: boolean;
  readonly said: string;
}

function decodeTarget(value: unknown): Target | null {
  const id = text(field(value, 'id'));
  const url = text(field(value, 'url'));
  const rendition = text(field(value, 'rendition'));
  if (id === null || url === null) return null;
  return {
    id,
    url,
    name: text(field(value, 'name')) ?? url,
    rendition: rendition === 'source' ? null : rendition,
    state: word(field(value, 'state'), STATES, null),
    sinceMs: number(field(value, 'since_ms')),
    nextTryMs: number(field(value, 'next_try_ms')),
    bitrateBps: number(field(value, 'bitrate_bps')),
    droppedUnits: number(field(value, 'dropped_units')) ?? 0,
    roundTripMs: number(field(value, 'round_trip_ms')),
    fault: text(field(field(value, 'fault'), 'message')),
    advice: list(field(value, 'advice'), (item) => text(field(item, 'message'))),
  };
}

export function decodeTargets(value: unknown): Target[] {
  return list(field(value, 'targets'), decodeTarget);
}

export function decodeServices(value: unknown): Service[] {
  return list(field(value, 'services'), (item) => {
    const id = text(field(item, 'id'));
    if (id === null) return null;
    return {
      id,
      name: text(field(item, 'name')) ?? id,
      hasUrl: text(field(item, 'url')) !== null,
      hasIngests: field(item, 'has_ingests') === true,
      needsAudio: field(item, 'needs_audio') === true,
    };
  });
}

export function decodeChecked(value: unknown): Checked {
  const taken = number(field(value, 'taken_ms'));
  if (field(value, 'ok') !== true) {
    return { ok: false, said: text(field(field(value, 'fault'), 'message')) ?? 'It does not answer as it should.' };
  }
  const within = taken === null ? '' : ` in ${Math.round(taken)} ms`;
  return { ok: true, said: `It answers${within}. Whether the key is right shows when the stream begins.` };
}

const WORDS: Readonly<Record<TargetState, Said>> = {
  idle: { word: 'Waiting for the stream', tone: 'idle' },
  connecting: { word: 'Connecting', tone: 'warning' },
  live: { word: 'Live', tone: 'good' },
  retrying: { word: 'Trying again', tone: 'warning' },
  refused: { word: 'Refused', tone: 'bad' },
  paused: { word: 'Stopped', tone: 'idle' },
};

/** Its state in a word; a live target that is advised of something is not all well. */
export function targetSaid(target: Target): Said {
  if (target.state === null) return { word: 'Unknown', tone: 'idle' };
  const said = WORDS[target.state];
  return target.state === 'live' && (target.advice.length > 0 || target.fault !== null) ? { ...said, tone: 'warning' } : said;
}

/** `in 4 s`; null when no try is due. */
export function nextTry(target: Target, nowMs: number): string | null {
  if (target.nextTryMs === null) return null;
  const seconds = Math.ceil((target.nextTryMs - nowMs) / 1000);
  return seconds <= 0 ? 'now' : `in ${seconds} s`;
}
