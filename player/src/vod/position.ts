/** Where a viewer was in each recording. It is kept in this browser alone, and in no address or request. */

const KEY = 'weir:positions';
/** Recordings that are remembered; the one that was watched longest ago goes first. */
const KEPT = 200;
/** Nearer to the start than this there is nothing to come back to, seconds. */
const START_S = 10;
/** So near to the end it was seen: this many seconds, or this part of a short one. */
const END_S = 15;
const END_PART = 0.1;

/** What is used of the browser's storage. */
export type Keeper = Pick<Storage, 'getItem' | 'setItem'>;

/** Seconds from the start; null when nothing is remembered. */
export function recall(keeper: Keeper | null, id: string): number | null {
  return read(keeper).find(([known]) => known === id)?.[1] ?? null;
}

/** Remembers, or forgets when it is hardly begun or seen to its end. */
export function remember(keeper: Keeper | null, id: string, at_s: number, length_s: number): void {
  const others = read(keeper).filter(([known]) => known !== id);
  const isBetween = at_s >= START_S && length_s - at_s > Math.min(END_S, length_s * END_PART);
  const all = isBetween ? [...others, [id, Math.round(at_s)] as const] : others;
  try {
    keeper?.setItem(KEY, JSON.stringify(all.slice(-KEPT)));
  } catch {
    // Full, or closed to this page: then the next visit begins at the start.
  }
}

/** Where to begin: what the address asks for (`?t=754`), else where the viewer was, else the start. Seconds. */
export function startAt(search: string, recalled: number | null, length_s: number): number {
  const asked = new URLSearchParams(search).get('t') ?? '';
  const at_s = /^\d+(\.\d+)?$/.test(asked) ? Number(asked) : (recalled ?? 0);
  return at_s < length_s ? at_s : 0;
}

/** The browser's storage; null where it is closed, as to embedded pages in some browsers. */
export function browserKeeper(): Keeper | null {
  try {
    return localStorage;
  } catch {
    return null;
  }
}

/** Newest last. */
function read(keeper: Keeper | null): ReadonlyArray<readonly [id: string, at_s: number]> {
  try {
    const kept: unknown = JSON.parse(keeper?.getItem(KEY) ?? '[]');
    return Array.isArray(kept) ? kept.filter(isPlace) : [];
  } catch {
    return [];
  }
}

function isPlace(item: unknown): item is readonly [string, number] {
  return Array.isArray(item) && typeof item[0] === 'string' && Number.isFinite(item[1]);
}
