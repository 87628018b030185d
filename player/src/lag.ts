/**
 * How far other renditions are behind the one that plays. Passed-through pictures are listed as they come, encoded
 * rungs some tenths of a second later; a viewer who plays at the edge of the first and changes to the second would find
 * nothing there yet. The playlist tells (EXT-X-RENDITION-REPORT, rfc8216bis 4.4.5.4), so the player can keep room.
 */

/** A rung later than this has an encoder that cannot follow; no viewer's delay mends that. */
const ROOM_MAX_S = 1.5;

export interface Place {
  /** Media sequence number and part, of which the part is the newest listed. */
  readonly msn: number;
  readonly part: number;
}

/** Readings are kept so long: an encoder that is late now and then is late. */
const REMEMBERED_MS = 20_000;

/** Parts of the own playlist which the slowest other rendition does not list yet. */
export function partsBehind(own: readonly Place[], others: readonly Place[]): number {
  const after = (place: Place, other: Place): boolean => place.msn > other.msn || (place.msn === other.msn && place.part > other.part);
  return Math.max(0, ...others.map((other) => own.filter((place) => after(place, other)).length));
}

/**
 * Extra delay that makes a change of rung safe, seconds. `lag_s`: the lag of the slowest; `target_s`: the hold-back;
 * `part_s`: a part, which is how much the buffer empties between two of them; `margin_s`: what must be left.
 */
export function room(lag_s: number, target_s: number, part_s: number, margin_s: number): number {
  return Math.min(ROOM_MAX_S, Math.max(0, lag_s - (target_s - part_s - margin_s)));
}

/** The largest reading of late. */
export class Worst {
  #readings: { at_ms: number; value: number }[] = [];

  put(value: number, now_ms: number): void {
    // A smaller reading before a larger one can never be the largest again.
    this.#readings = this.#readings.filter((old) => old.value > value && now_ms - old.at_ms < REMEMBERED_MS);
    this.#readings.push({ at_ms: now_ms, value });
  }

  get(now_ms: number): number {
    return this.#readings.find((reading) => now_ms - reading.at_ms < REMEMBERED_MS)?.value ?? 0;
  }
}
