/** All that is known of one stream while its page is open: asked for once, then kept up to date by the server's events. */
import { batch, computed, signal } from '@preact/signals';
import { Away, call, reason, refusal, Refusal, streamPath } from './client.ts';
import { decodeRecorded, type Recorded } from './recorded.ts';
import { follow } from './follow.ts';
import { decodeRehearsal, type Rehearsal } from './rehearsal.ts';
import {
  decodeHealth, decodeLog, decodeLogRow, decodeSample, decodeSamples, decodeStats, decodeStream,
  type Health, type LogRow, type Sample, type Stats, type Stream,
} from './shapes.ts';
import type { ServerEvent } from './sse.ts';

export const SPAN_MS = 600_000;
const SAMPLES_MAX = 600;
const LOG_MAX = 200;
/** Settings, keys, viewers and renditions are not among the events. */
const REFRESH_MS = 4_000;

type Source = 'answers' | 'events';

export class Room {
  readonly name: string;
  readonly stream = signal<Stream | null>(null);
  readonly health = signal<Health | null>(null);
  readonly stats = signal<Stats | null>(null);
  /** Null before it was told, and from a server that knows none. */
  readonly rehearsal = signal<Rehearsal | null>(null);
  /** Oldest first; null before the first answer. */
  readonly samples = signal<readonly Sample[] | null>(null);
  /** Oldest first; null before the first answer. */
  readonly log = signal<readonly LogRow[] | null>(null);
  /** Why nothing new comes; null while all is well. */
  readonly trouble = computed(() => this.#troubles.value.answers ?? this.#troubles.value.events);
  readonly atMs = signal<number | null>(null);
  /** Null before the first answer, and from a server that records nothing. */
  readonly recorded = signal<Recorded | null>(null);
  /** There is no such stream, or no longer. */
  readonly gone = signal(false);
  /** The server's clock, once a second. */
  readonly nowMs = signal(Date.now());
  /** Answers and events fail and come back each for itself; the page is well when both are. */
  readonly #troubles = signal<Readonly<Record<Source, string | null>>>({ answers: null, events: null });
  #ahead_ms = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** Begins, and gives what ends it. */
  begin(): () => void {
    const stop = new AbortController();
    const refresh = setInterval(() => {
      if (document.visibilityState === 'visible') void this.refresh();
    }, REFRESH_MS);
    const tick = setInterval(() => (this.nowMs.value = Date.now() + this.#ahead_ms), 1_000);
    void this.refresh();
    void follow(
      streamPath(this.name, '/events'),
      {
        opened: () => {
          this.#well('events');
          void this.#past();
        },
        event: (event) => this.#event(event),
        lost: () => this.#lost('events', new Away()),
        refused: (answer) => {
          void refusal(answer, this.name).then((said) => this.#lost('events', said));
          return answer.status === 401;
        },
      },
      stop.signal,
    );
    return () => {
      stop.abort();
      clearInterval(refresh);
      clearInterval(tick);
    };
  }

  /** Takes what a change answered, without waiting for the next round. */
  take(body: unknown): void {
    const stream = decodeStream(body);
    if (!stream) return;
    batch(() => {
      this.stream.value = stream;
      this.recorded.value = decodeRecorded(body);
      this.gone.value = false;
      if (stream.live?.nowMs != null) this.#ahead_ms = stream.live.nowMs - Date.now();
    });
  }

  async refresh(): Promise<void> {
    try {
      this.take(await call('GET', streamPath(this.name)));
      this.#well('answers');
    } catch (error) {
      this.#lost('answers', error);
    }
  }

  /** What happened before the events began, or while they were away. */
  async #past(): Promise<void> {
    try {
      const [history, log] = await Promise.all([
        call('GET', streamPath(this.name, '/history')),
        call('GET', streamPath(this.name, '/log')),
      ]);
      batch(() => {
        this.samples.value = decodeSamples(history).slice(-SAMPLES_MAX);
        this.log.value = decodeLog(log).slice(-LOG_MAX);
      });
    } catch (error) {
      this.#lost('answers', error);
    }
  }

  #event({ name, data }: ServerEvent): void {
    let body: unknown;
    try {
      body = JSON.parse(data);
    } catch {
      return;
    }
    batch(() => {
      this.#well('events');
      if (name === 'health') this.health.value = decodeHealth(body);
      else if (name === 'stats') this.stats.value = decodeStats(body);
      else if (name === 'rehearsal') this.rehearsal.value = decodeRehearsal(body);
      else if (name === 'sample') this.#sample(decodeSample(body));
      else if (name === 'log') this.#logged(decodeLogRow(body));
    });
  }

  #sample(sample: Sample | null): void {
    if (!sample) return;
    this.#ahead_ms = sample.atMs - Date.now();
    const before = (this.samples.value ?? []).filter(({ atMs }) => atMs < sample.atMs);
    this.samples.value = [...before, sample].slice(-SAMPLES_MAX);
  }

  #logged(row: LogRow | null): void {
    if (!row) return;
    const had = (this.log.value ?? []).some(({ seq, atMs, message }) => seq === row.seq && atMs === row.atMs && message === row.message);
    if (!had) this.log.value = [...(this.log.value ?? []), row].slice(-LOG_MAX);
    // Something happened: state, renditions or keys may be others.
    void this.refresh();
  }

  #well(source: Source): void {
    this.atMs.value = Date.now();
    if (this.#troubles.value[source] !== null) this.#troubles.value = { ...this.#troubles.value, [source]: null };
  }

  #lost(source: Source, error: unknown): void {
    if (error instanceof Refusal && error.status === 404) this.gone.value = true;
    else this.#troubles.value = { ...this.#troubles.value, [source]: reason(error) };
  }
}
