/** The keyboard over a recording: the keys every player has, and those that move in time. Pure. */
import { KEYS, wish, type Command, type Press } from '../keys.ts';

export type VodWish =
  | Command
  /** Seconds forwards (negative: backwards). */
  | { do: 'seek'; by: number }
  /** To this part of the whole, 0 to 1. */
  | { do: 'go_to'; part: number };

/** What J and L move by, seconds. */
export const LEAP_S = 10;
/** What Page Up and Page Down move by on the seek bar, seconds. */
const PAGE_S = 60;

/** The keys as the help under the picture lists them. */
export const VOD_KEYS: ReadonlyArray<readonly [keys: string, does: string]> = [
  ...KEYS.filter(([keys]) => keys !== 'J' && keys !== 'L'),
  ['J, L', `${LEAP_S} s back, forwards`],
  ['0 to 9', 'to this tenth of it'],
  ['Home, End', 'to its start, its end'],
];

/** As `wish` of the live player. `seek`: the focus is on the seek bar, whose keys are those of a slider. */
export function vodWish(press: Press, focus: 'page' | 'button' | 'slider' | 'seek'): VodWish | null {
  if (press.ctrlKey || press.altKey || press.metaKey) return null;
  if (focus !== 'slider') {
    if (/^\d$/.test(press.key)) return { do: 'go_to', part: Number(press.key) / 10 };
    if (press.key === 'Home') return { do: 'go_to', part: 0 };
    if (press.key === 'End') return { do: 'go_to', part: 1 };
  }
  const key = press.key.toLowerCase();
  if (key === 'j') return { do: 'seek', by: -LEAP_S };
  if (key === 'l') return { do: 'seek', by: LEAP_S };
  if (focus === 'seek') {
    const slid = { ArrowUp: 'ArrowRight', ArrowDown: 'ArrowLeft' }[press.key];
    if (slid) return vodWish({ ...press, key: slid }, 'page');
    if (press.key === 'PageUp') return { do: 'seek', by: PAGE_S };
    if (press.key === 'PageDown') return { do: 'seek', by: -PAGE_S };
  }
  const asked = wish(press, focus === 'seek' ? 'page' : focus);
  return asked?.do === 'go_live' || asked?.do === 'rewind' ? null : asked;
}
