/**
 * The small pictures of a recording as the seek bar asks for them: the storyboard when it is first wanted, and a sheet when
 * one of its pictures is. Whatever fails is silent, for the time alone is enough to seek by. It opens no connection itself;
 * `source.ts` beside it does.
 */
import { signal } from '@preact/signals';
import type { Millis } from '../retry.ts';
import { asOfNow, moved, readStoryboard, tileAt, type Storyboard, type Tile } from './storyboard.ts';

/** What is used of a picture. Whoever holds it keeps the browser from asking for it again. */
export type Sheet = Pick<HTMLImageElement, 'src' | 'naturalWidth' | 'naturalHeight'>;

/** Where the storyboard and its sheets come from. */
export interface StorySource {
  /** The text of the storyboard; null when there is none. Throws when there was no answer. */
  text(): Promise<string | null>;
  /** A sheet by its name, ready to be shown. Throws when it does not come. */
  sheet(name: string): Promise<Sheet>;
}

export interface Shown {
  readonly tile: Tile;
  /** Null until it has come. */
  readonly sheet: Sheet | null;
}

/** What failed, or may have become more, is not asked for again before this. */
export const AGAIN_MS = 60_000;
/** Sheets that are held on to; the one that came first goes first. */
export const SHEETS_MAX = 12;

export class Story {
  readonly #board = signal<Storyboard>([]);
  /** By name. One that did not come is there without a sheet. */
  readonly #sheets = signal<ReadonlyMap<string, { readonly sheet: Sheet | null; readonly at: Millis }>>(new Map());
  readonly #source: StorySource;
  readonly #now: () => Millis;
  readonly #begins_s: () => number;
  /** Not to be asked for before this; null: never again. */
  #askFrom: Millis | null = -Infinity;
  /** The sheet that is on its way, and the one to come after it. */
  #bringing: string | null = null;
  #wished: string | null = null;

  /** `begins_s`: the player's time of what the storyboard begins with now. */
  constructor(source: StorySource, begins_s = () => 0, now = () => performance.now()) {
    this.#source = source;
    this.#begins_s = begins_s;
    this.#now = now;
  }

  /** Asks for the storyboard, once. `changing`: there may be more of it later, so once a minute as long as this is called. */
  want(changing: boolean): void {
    if (this.#askFrom === null || this.#now() < this.#askFrom) return;
    this.#askFrom = this.#now() + AGAIN_MS;
    void this.#read(changing);
  }

  /** What there is to show of this time, seconds; null when there is no picture of it. Changes as pictures come. */
  at(at_s: number): Shown | null {
    const tile = tileAt(this.#board.value, at_s);
    const known = tile && this.#sheets.value.get(tile.sheet);
    if (!tile || !known) return tile && { tile, sheet: null };
    return known.sheet && isOn(tile, known.sheet) ? { tile, sheet: known.sheet } : null;
  }

  /** Loads the sheet of this time. One is loaded at a time, then the one that was wished for last. */
  bring(at_s: number): void {
    const name = tileAt(this.#board.value, at_s)?.sheet;
    const known = name === undefined ? undefined : this.#sheets.value.get(name);
    const isSettled = known && (known.sheet || this.#now() - known.at < AGAIN_MS);
    this.#wished = name === undefined || name === this.#bringing || isSettled ? null : name;
    if (this.#bringing === null) void this.#bringWished();
  }

  async #read(changing: boolean): Promise<void> {
    try {
      const text = await this.#source.text();
      const board = text === null ? [] : moved(readStoryboard(text), this.#begins_s());
      this.#board.value = changing ? asOfNow(board) : board;
      if (!changing) this.#askFrom = null;
    } catch {
      // No answer: what is known stays, and the next wish after a minute asks again.
    }
  }

  async #bringWished(): Promise<void> {
    while (this.#wished !== null) {
      const name = (this.#bringing = this.#wished);
      this.#wished = null;
      const sheet = await this.#source.sheet(name).catch(() => null);
      const others = [...this.#sheets.value].filter(([known]) => known !== name);
      this.#sheets.value = new Map([...others, [name, { sheet, at: this.#now() }] as const].slice(-SHEETS_MAX));
      this.#bringing = null;
    }
  }
}

function isOn({ x, y, width, height }: Tile, sheet: Sheet): boolean {
  return x + width <= sheet.naturalWidth && y + height <= sheet.naturalHeight;
}
