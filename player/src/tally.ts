/** What a viewer got since it was last told: pure, fed by looks at the player some times a second. */

/** One look. */
export interface Look {
  /** Milliseconds since the page was opened. */
  readonly now_ms: number;
  /** The picture moved since the look before. */
  readonly moved: boolean;
  /** The viewer wants it to play and looks at it, and there is a stream to be played. */
  readonly wanted: boolean;
  /** Seconds from the streamer's server to the screen; null when unknown. */
  readonly delay_s: number | null;
  /** The server's name of what is on screen; null when unknown. */
  readonly rendition: string | null;
  /** Faults so far. */
  readonly errors: number;
}

/** What the server is told; every number is of the time since the last one. */
export interface Beacon {
  readonly startup_ms?: number;
  readonly played_ms: number;
  readonly stalled_ms: number;
  readonly stalls: number;
  readonly latency_ms?: number;
  readonly rendition?: string;
  readonly errors: number;
}

/** Looks further apart than this: the tab was frozen or the machine slept, and nobody knows what happened. */
const SLEPT_MS = 2_000;
/** A picture that stands for less is not noticed. */
const NOTICED_MS = 300;

export class Tally {
  #last: Look | null = null;
  /** Since when it is waited for the first picture; null once it came, or when there was none to wait for. */
  #waiting: number | null = 0;
  #startup: number | null = null;
  #standing_ms = 0;
  #begun = false;
  #played_ms = 0;
  #stalled_ms = 0;
  #stalls = 0;
  #errors = 0;
  #delay_s: number | null = null;
  #rendition: string | null = null;

  look(look: Look): void {
    const last = this.#last;
    this.#last = look;
    this.#errors += last ? look.errors - last.errors : look.errors;
    // Who comes before the show, or pauses, waits for something else than a picture.
    if (!look.wanted) {
      this.#standing_ms = 0;
      if (!this.#begun) this.#waiting = null;
      return;
    }
    if (!this.#begun && last && !last.wanted) this.#waiting = look.now_ms;
    this.#delay_s = look.delay_s ?? this.#delay_s;
    this.#rendition = look.rendition ?? this.#rendition;
    const passed = last ? look.now_ms - last.now_ms : 0;
    if (look.moved) {
      if (!this.#begun && this.#waiting !== null) this.#startup = Math.round(look.now_ms - this.#waiting);
      this.#begun = true;
      this.#standing_ms = 0;
      if (passed <= SLEPT_MS) this.#played_ms += passed;
      return;
    }
    if (!this.#begun || passed > SLEPT_MS || !last?.wanted) return;
    const stood = this.#standing_ms;
    this.#standing_ms += passed;
    if (this.#standing_ms < NOTICED_MS) return;
    // What was too short to be noticed counts once it is longer.
    this.#stalled_ms += stood < NOTICED_MS ? this.#standing_ms : passed;
    if (stood < NOTICED_MS) this.#stalls += 1;
  }

  /** What is to be told, and forgets it; null when nothing happened. */
  take(): Beacon | null {
    const beacon: Beacon = {
      ...(this.#startup !== null && { startup_ms: this.#startup }),
      played_ms: Math.round(this.#played_ms),
      stalled_ms: Math.round(this.#stalled_ms),
      stalls: this.#stalls,
      ...(this.#delay_s !== null && { latency_ms: Math.max(0, Math.round(this.#delay_s * 1000)) }),
      ...(this.#rendition !== null && { rendition: this.#rendition }),
      errors: this.#errors,
    };
    const isEmpty = beacon.played_ms + beacon.stalled_ms + beacon.errors === 0 && beacon.startup_ms === undefined;
    this.#startup = null;
    this.#played_ms = this.#stalled_ms = this.#stalls = this.#errors = 0;
    return isEmpty ? null : beacon;
  }
}
