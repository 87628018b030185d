/**
 * Which rung covers which time of what was buffered. hls.js reports a switch when it is loaded; the viewer reads it
 * when it is on screen.
 */

/** Changes remembered: more than the 30 s that are kept can hold. */
const KEPT = 64;

export class Shelf {
  /** Where a run of one rung begins, in order of arrival; later ones cover earlier ones from their start on. */
  readonly #runs: { from_s: number; rung: number }[] = [];

  /** Media of this rung was buffered from this time on. */
  put(from_s: number, rung: number): void {
    const last = this.#runs.at(-1);
    if (last && last.rung === rung && from_s >= last.from_s) return;
    // Media that came later replaces what was there.
    while ((this.#runs.at(-1)?.from_s ?? -Infinity) >= from_s) this.#runs.pop();
    if (this.#runs.at(-1)?.rung !== rung) this.#runs.push({ from_s, rung });
    if (this.#runs.length > KEPT) this.#runs.shift();
  }

  /** The rung on screen at this time; null when nothing was buffered there. */
  at(time_s: number): number | null {
    return this.#runs.findLast((run) => run.from_s <= time_s)?.rung ?? null;
  }
}
