/** A stream's rehearsal as the API tells of it, decoded by hand, and what is said of it. Pure. */
import { field, list, number, text, word } from '../decode.ts';
import type { Said } from './said.ts';
import { decodeHealth, decodeMendable, type Health, type Mendable } from './shapes.ts';

/** A score is of so many seconds of media. */
export const LOOKED_AT_S = 60;

/** Something that was wrong in those seconds. */
export interface Flaw extends Mendable {
  /** In how many of them, 0 to `LOOKED_AT_S`. */
  readonly seconds: number;
}

export interface Rehearsal {
  readonly state: 'none' | 'running' | 'over';
  readonly sinceMs: number | null;
  /** It ends by itself when it has lasted so long. */
  readonly longestS: number | null;
  /** Seconds of media still to come before there is a score, 0 to `LOOKED_AT_S`. */
  readonly leftS: number;
  /** Of 100; null before that. */
  readonly score: number | null;
  /** Worst first. */
  readonly flaws: readonly Flaw[];
  /** How it does now; null when none is on. */
  readonly health: Health | null;
  readonly encoder: string | null;
  /** What its preview is called in addresses, in the place of a stream's name; null when none is on. */
  readonly preview: string | null;
}

const PREVIEW = /^\/watch\/([a-z0-9_~-]+)$/;

export function decodeRehearsal(body: unknown): Rehearsal {
  const health = field(body, 'health');
  return {
    state: word(field(body, 'state'), ['running', 'over'], 'none'),
    sinceMs: number(field(body, 'since_ms')),
    longestS: number(field(body, 'longest_s')),
    leftS: Math.min(LOOKED_AT_S, Math.max(0, number(field(body, 'left_s')) ?? LOOKED_AT_S)),
    score: number(field(body, 'score')),
    flaws: list(field(body, 'flaws'), decodeFlaw),
    health: typeof health === 'object' && health !== null ? decodeHealth(health) : null,
    encoder: text(field(body, 'encoder')),
    preview: PREVIEW.exec(text(field(body, 'preview')) ?? '')?.[1] ?? null,
  };
}

function decodeFlaw(body: unknown): Flaw | null {
  const mendable = decodeMendable(body);
  return mendable && { ...mendable, seconds: number(field(body, 'seconds')) ?? 0 };
}

export function scoreSaid(score: number): Said {
  if (score >= 90) return { word: 'Ready to go live', tone: 'good' };
  if (score >= 70) return { word: 'It will work', tone: 'warning' };
  return { word: 'Mend this first', tone: 'bad' };
}

/** `12 s of the minute`. */
export function share({ seconds }: Flaw): string {
  return seconds >= LOOKED_AT_S ? 'The whole minute' : `${seconds} s of the minute`;
}

/** What is to be mended: what is wrong now, then what was, each worst first and once. */
export function toMend({ health, flaws }: Rehearsal): Mendable[] {
  const issues = health?.issues ?? [];
  return [...issues, ...flaws.filter(({ code }) => !issues.some((issue) => issue.code === code))];
}
