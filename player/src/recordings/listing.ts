/** A list that comes page by page: asked anew when something else is wanted, and for more when told to. */
import { batch, signal } from '@preact/signals';
import { ANY, PAGE_ROWS, PAGE_ROWS_MAX, type Wanted } from './query.ts';
import type { Page, Recording } from './shape.ts';

/** Asks for the rows behind `cursor`; null: from the first on. Throws why it cannot be. */
export type AskPage = (wanted: Wanted, limit: number, cursor: string | null) => Promise<Page>;

/** Between two looks whether something is to be asked again; while the server is away, between two questions. */
const LOOK_MS = 4_000;

export class Listing {
  /** Null before the first answer. */
  readonly rows = signal<readonly Recording[] | null>(null);
  /** How many there are over all pages; null when not known. */
  readonly total = signal<number | null>(null);
  /** There is more than is shown. */
  readonly isMore = signal(false);
  /** A question is under way whose answer will change what is shown. */
  readonly busy = signal(false);
  /** Why there is no newer answer; null while all is well. */
  readonly trouble = signal<string | null>(null);
  /** When the last answer came. */
  readonly atMs = signal<number | null>(null);

  readonly #ask: AskPage;
  #wanted: Wanted = ANY;
  #next: string | null = null;
  /** Counts questions: an answer to any but the newest comes too late. */
  #turn = 0;

  constructor(ask: AskPage) {
    this.#ask = ask;
  }

  /** Asks again every `refresh_ms` while the page is looked at, sooner while the server is away. Gives what ends it. */
  begin(refresh_ms: number): () => void {
    const look = (): void => {
      const isDue = this.trouble.value !== null || Date.now() - (this.atMs.value ?? 0) >= refresh_ms;
      if (isDue && document.visibilityState === 'visible') void this.refresh();
    };
    const timer = setInterval(look, LOOK_MS);
    document.addEventListener('visibilitychange', look);
    addEventListener('online', look);
    return () => {
      this.#turn += 1;
      clearInterval(timer);
      document.removeEventListener('visibilitychange', look);
      removeEventListener('online', look);
    };
  }

  /** Shows other rows, from the first page on. The old ones stay until the new ones have come. */
  async want(wanted: Wanted): Promise<void> {
    this.#wanted = wanted;
    this.busy.value = true;
    await this.#question(PAGE_ROWS, null, (page) => page.recordings);
  }

  /** Adds the next page. */
  async more(): Promise<void> {
    if (this.busy.value || this.#next === null) return;
    this.busy.value = true;
    await this.#question(PAGE_ROWS, this.#next, (page) => {
      const shown = this.rows.value ?? [];
      // What changed its place meanwhile may come twice.
      const known = new Set(shown.map(({ id }) => id));
      return [...shown, ...page.recordings.filter(({ id }) => !known.has(id))];
    });
  }

  /** Asks for what is shown once more. A list that somebody paged far down stays as it is; only a page that failed comes again. */
  async refresh(): Promise<void> {
    const shown = this.rows.value?.length ?? 0;
    if (this.busy.value) return;
    if (shown > PAGE_ROWS_MAX) return this.trouble.value === null ? undefined : this.more();
    await this.#question(Math.min(Math.max(shown, PAGE_ROWS), PAGE_ROWS_MAX), null, (page) => page.recordings);
  }

  async #question(limit: number, cursor: string | null, rows: (page: Page) => readonly Recording[]): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    let page: Page | null = null;
    let fault: string | null = null;
    try {
      page = await this.#ask(this.#wanted, limit, cursor);
    } catch (error) {
      fault = error instanceof Error ? error.message : String(error);
    }
    if (turn !== this.#turn) return;
    batch(() => {
      this.busy.value = false;
      this.trouble.value = fault;
      if (!page) return;
      this.rows.value = rows(page);
      this.#next = page.next;
      this.isMore.value = page.next !== null;
      this.total.value = page.total;
      this.atMs.value = Date.now();
    });
  }
}
