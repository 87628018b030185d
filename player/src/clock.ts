/** Times as people read them, and the server's clock as this browser sees it. */

/** Server time minus browser time in milliseconds: viewers' clocks are often seconds off, and delay is shown in tenths. */
export class ServerClock {
  #offset_ms: number | null = null;
  #uncertain_ms = Infinity;

  /** Takes one reading: what the server said, and the browser's time when it was asked and answered. */
  read(server_ms: number, asked_ms: number, answered_ms: number): void {
    const uncertain_ms = (answered_ms - asked_ms) / 2;
    // The quickest answer says most; old ones fade so that a clock that was set right meanwhile is noticed.
    this.#uncertain_ms *= 1.2;
    if (uncertain_ms > this.#uncertain_ms) return;
    this.#uncertain_ms = Math.max(uncertain_ms, 1);
    this.#offset_ms = server_ms - (asked_ms + answered_ms) / 2;
  }

  /** The server's time now, or null when it never told. */
  at(browser_ms: number): number | null {
    return this.#offset_ms === null ? null : browser_ms + this.#offset_ms;
  }
}

/** `1.4 s`, `12 s`, `2 min`. */
export function shortDelay(seconds: number): string {
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

/** How long something has been going on: `just now`, `12 min`, `3 h 05 min`. */
export function goingOn(milliseconds: number): string {
  const minutes = Math.floor(milliseconds / 60_000);
  if (minutes < 1) return 'just now';
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}
