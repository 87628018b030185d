/** The piece that becomes a clip, from its start and end as they are typed. Pure. */
import { readStamp, stamp } from '../recordings/time.ts';

export type Cut = { readonly startS: number; readonly endS: number } | { readonly fault: string };

/** The player's clock and the noted length may differ by this, seconds. */
const SLACK_S = 0.5;

/** The piece between two typed times of a recording that is `length_s` long; or why it is none, in a sentence. */
export function cutOf(start: string, end: string, length_s: number): Cut {
  const startS = readStamp(start);
  const endS = readStamp(end);
  if (startS === null) return { fault: 'Write the start as 1:23 or 1:02:03.' };
  if (endS === null) return { fault: 'Write the end as 1:23 or 1:02:03.' };
  if (endS <= startS) return { fault: 'The end has to come after the start.' };
  if (endS > length_s + SLACK_S) return { fault: `The recording is ${stamp(length_s)} long.` };
  return { startS, endS: Math.min(endS, length_s) };
}
