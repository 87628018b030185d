/**
 * The hands of the machine that plays a recording: owns the video element, the engine, the timers and what the page shows
 * (signals). `playback.ts` beside it decides; this file only tells it what happened and does what it says.
 */
import { batch, computed, signal } from '@preact/signals';
import type { EngineFact, Report, Rung, VodEngine, VodStart } from '../engine.ts';
import { openVod, supported } from '../hls.ts';
import { openNative } from '../native.ts';
import { keepStill } from '../still.tsx';
import { start, step, type Action, type Fact, type Playback, type Step } from './playback.ts';
import { words } from './words.ts';

/** How often the picture is looked at. */
const TICK_MS = 250;
/** Neither a picture nor a byte for this long is a fault; a slow network is none. */
const STUCK_MS = 12_000;
/** Trouble is worth words after this. */
const WORDS_AFTER_MS = 700;
/** The end of a recording that still runs: nearer to it there may be nothing to play yet, seconds. */
const EDGE_S = 6;

export const SPEEDS: readonly number[] = [0.5, 0.75, 1, 1.25, 1.5, 2];

export interface VodOptions {
  /** Path of the multivariant playlist. */
  readonly hls: string;
  /** Where to begin, seconds from the start; of the past of a live, seconds before the newest that there is. */
  readonly from_s: number;
  /** It is the past of a live, which goes at its beginning. */
  readonly rewinds?: boolean;
  /** How long it is as far as is known; the playlist may say more. */
  readonly length_s: number;
  /** Begin without being told to, where the browser allows it with sound. */
  readonly autoplay: boolean;
  /** Asks the server whether there is such a recording; throws when it does not answer. */
  readonly exists: () => Promise<boolean>;
}

export class VodViewer {
  readonly rungs = signal<readonly Rung[]>([]);
  /** The rung the viewer holds; null is automatic. */
  readonly held = signal<number | null>(null);
  readonly showing = signal<number | null>(null);
  /** Where the picture is, seconds from the start. */
  readonly time = signal(0);
  /** Seconds; grows while the recording runs. */
  readonly length = signal(0);
  /** The first time there is something of, seconds. */
  readonly first = signal(0);
  /** Up to where there is media to play without asking for more, seconds from the start. */
  readonly buffered = signal(0);
  readonly speed = signal(1);
  readonly paused = signal(true);
  /** It waits for the viewer to press play. */
  readonly blocked = signal(false);
  /** A still of the last picture is shown under the words. */
  readonly still = signal(false);
  readonly playback = signal<Playback>(start(0).next);
  readonly #online = signal(navigator.onLine);
  readonly #late = signal(false);
  readonly words = computed(() => words(this.playback.value, { online: this.#online.value, late: this.#late.value }));

  readonly #options: VodOptions;
  readonly #stop = new AbortController();
  #video: HTMLVideoElement | null = null;
  #canvas: HTMLCanvasElement | null = null;
  #engine: VodEngine | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;
  #phaseAt = performance.now();
  /** When the picture last moved or media came, or neither had a reason to. */
  #movedAt = performance.now();
  /** When the picture last moved. */
  #rolledAt = 0;
  #position = -1;
  #asking = false;
  #heldLabel: string | null = null;
  /** False from the viewer's own pause to the viewer's own play: a new engine does not start over that wish. */
  #wanted: boolean;

  constructor(options: VodOptions) {
    this.#options = options;
    this.#wanted = options.autoplay;
    this.blocked.value = !options.autoplay;
    this.length.value = options.length_s;
    this.time.value = options.rewinds ? 0 : options.from_s;
  }

  /** Path of the multivariant playlist; what else there is of the recording is in the same folder. */
  get hls(): string {
    return this.#options.hls;
  }

  /** It is the past of a live. */
  get rewinds(): boolean {
    return this.#options.rewinds ?? false;
  }

  /** Takes the element and begins. `canvas` keeps the last picture while there is no engine. */
  begin(video: HTMLVideoElement, canvas: HTMLCanvasElement): void {
    this.#video = video;
    this.#canvas = canvas;
    const on = { signal: this.#stop.signal };
    video.addEventListener('pause', () => {
      this.paused.value = true;
      // The element also pauses at the end and when an engine lets go of it.
      if (this.#engine && !video.ended) this.#wanted = false;
    }, on);
    video.addEventListener('play', () => {
      this.#movedAt = performance.now();
      this.#wanted = true;
      batch(() => (this.paused.value = this.blocked.value = false));
    }, on);
    video.addEventListener('loadedmetadata', () => {
      // hls.js was told where to begin; a browser that plays HLS by itself is told here.
      if (supported()) return;
      if (this.rewinds) video.currentTime = Math.max(0, endOf(video) - this.#options.from_s);
      else if (this.time.value > 0) video.currentTime = this.time.value;
    }, on);
    for (const change of ['timeupdate', 'seeking', 'durationchange', 'progress', 'ratechange']) {
      video.addEventListener(change, () => this.#read(), on);
    }
    document.addEventListener('visibilitychange', () => this.#awake(), on);
    addEventListener('pageshow', () => this.#awake(), on);
    addEventListener('online', () => {
      this.#online.value = true;
      this.#awake();
    }, on);
    addEventListener('offline', () => (this.#online.value = false), on);
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#take(start(performance.now()));
  }

  end(): void {
    clearInterval(this.#timer);
    this.#stop.abort();
    this.#engine?.destroy();
    this.#engine = null;
  }

  retry(): void {
    this.#fact({ type: 'retry' });
  }

  togglePlay(): void {
    const video = this.#video;
    if (!video) return;
    if (video.paused) void this.#play();
    else video.pause();
  }

  unmute(): void {
    const video = this.#video;
    if (!video) return;
    video.muted = false;
    if (video.volume === 0) video.volume = 1;
  }

  /** Seconds forwards; negative: backwards. */
  seek(by_s: number): void {
    this.goTo(this.time.value + by_s);
  }

  /** To this time, seconds from the start; what lies outside is taken to the nearer end. */
  goTo(at_s: number): void {
    const video = this.#video;
    // What goes at the beginning may be gone before it is loaded.
    const first = this.rewinds ? this.first.value + EDGE_S : 0;
    const last = this.rewinds ? this.length.value - EDGE_S : this.length.value;
    const at = Math.max(first, Math.min(at_s, last));
    // Also where a new engine begins while there is none.
    this.time.value = at;
    this.#movedAt = performance.now();
    if (!video || !this.#engine) return;
    const goesOn = video.ended && this.#wanted && at < this.length.value;
    video.currentTime = at;
    if (goesOn) void this.#play();
  }

  /** To this part of the whole, 0 to 1. `growing`: more is being recorded. */
  goToPart(part: number, growing: boolean): void {
    const last = growing ? Math.max(0, this.length.value - EDGE_S) : this.length.value;
    const at = this.first.value + part * (this.length.value - this.first.value);
    this.goTo(Math.min(at, last));
  }

  setSpeed(speed: number): void {
    const video = this.#video;
    if (!video) return;
    // The default is what a new engine begins with.
    video.defaultPlaybackRate = speed;
    video.playbackRate = speed;
  }

  /** Holds a rung, or lets the player choose (null). The wish outlives a new engine. */
  choose(id: number | null): void {
    this.held.value = id;
    this.#heldLabel = this.rungs.value.find((rung) => rung.id === id)?.label ?? null;
    this.#engine?.choose(id);
  }

  #fact(fact: Fact): void {
    this.#take(step(this.playback.value, fact, performance.now(), Math.random()));
  }

  #take({ next, actions }: Step): void {
    batch(() => {
      if (next.phase.kind !== this.playback.value.phase.kind) {
        this.#phaseAt = performance.now();
        // From one trouble into the next the words stay; they only wait for the first.
        if (next.phase.kind === 'playing') this.#late.value = false;
      }
      this.playback.value = next;
      for (const action of actions) this.#do(action);
    });
  }

  #do(action: Action): void {
    switch (action) {
      case 'load':
        return this.#load();
      case 'resume':
        return this.#engine?.resume();
      case 'recover':
        this.#engine?.recover();
        return void (this.#wanted && this.#play());
      case 'unload':
        return this.#unload();
      case 'ask':
        return void this.#ask();
    }
  }

  #load(): void {
    const video = this.#video;
    if (!video) return;
    this.#unload();
    const generation: { current: VodEngine | null } = { current: null };
    const report: Report = (fact) => {
      // An engine that was dropped may still be talking; only the present one is heard.
      if (generation.current === null || generation.current === this.#engine) this.#heard(fact);
    };
    const { hls } = this;
    if (supported()) {
      this.#engine = generation.current = openVod(video, hls, this.#from(), report);
    } else if (video.canPlayType('application/vnd.apple.mpegurl')) {
      this.#engine = generation.current = openNative(video, hls, report);
    } else {
      return this.#fact({ type: 'unsupported', reason: 'It has neither Media Source nor HLS. A current browser has one of them.' });
    }
    if (this.#wanted) void this.#play();
  }

  /** Where a new engine begins: where the picture stood. The times of the past of a live begin anew with it. */
  #from(): VodStart {
    if (!this.rewinds) return { at_s: this.time.value };
    const behind_s = this.length.value - this.time.value;
    return { behind_s: Math.max(EDGE_S, this.time.value > 0 ? behind_s : this.#options.from_s) };
  }

  #unload(): void {
    const engine = this.#engine;
    this.#engine = null;
    if (engine && keepStill(this.#video, this.#canvas)) this.still.value = true;
    engine?.destroy();
    this.#position = -1;
    this.#movedAt = performance.now();
    this.showing.value = null;
  }

  #heard(fact: EngineFact): void {
    switch (fact.type) {
      case 'ladder': {
        this.rungs.value = fact.rungs;
        const again = fact.rungs.find((rung) => rung.label === this.#heldLabel);
        this.held.value = again?.id ?? null;
        if (again) this.#engine?.choose(again.id);
        return;
      }
      case 'closing':
        return;
      default:
        return this.#fact(fact);
    }
  }

  /** Where the browser demands a tap first, the page offers a play button: nobody wants to miss how it begins. */
  async #play(): Promise<void> {
    try {
      await this.#video?.play();
    } catch (refused) {
      if (refused instanceof DOMException && refused.name === 'NotAllowedError') this.blocked.value = true;
    }
  }

  #awake(): void {
    if (document.visibilityState !== 'visible') return;
    this.#movedAt = performance.now();
    this.#fact({ type: 'awake' });
  }

  /** What the element says of itself; an element without media says nothing. */
  #read(): void {
    const video = this.#video;
    if (!video || !this.#engine) return;
    batch(() => {
      this.speed.value = video.playbackRate;
      if (video.readyState < HTMLMediaElement.HAVE_METADATA) return;
      // Until the first picture it is where the engine is about to go.
      if (this.playback.value.phase.kind !== 'opening') this.time.value = video.currentTime;
      const length = endOf(video);
      if (length > 0) this.length.value = length;
      this.first.value = this.#engine?.earliest() ?? 0;
      const until = bufferedUntil(video);
      if (until !== this.buffered.value) this.#movedAt = performance.now();
      this.buffered.value = until;
    });
  }

  #tick(): void {
    const now = performance.now();
    this.#read();
    if (this.playback.value.phase.kind !== 'playing') {
      // A picture that still moves, out of the buffer, is better than any words about trouble.
      this.#late.value ||= now - Math.max(this.#phaseAt, this.#rolledAt) >= WORDS_AFTER_MS;
    }
    this.#watchProgress(now);
    this.showing.value = this.#engine?.showing() ?? this.showing.value;
    this.#fact({ type: 'tick' });
  }

  #watchProgress(now: number): void {
    const video = this.#video;
    if (!video || !this.#engine) return;
    const moved = this.#position >= 0 && video.currentTime !== this.#position && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
    this.#position = video.currentTime;
    if (moved && !video.seeking) {
      this.#movedAt = this.#rolledAt = now;
      this.still.value = false;
      return this.#fact({ type: 'rolling' });
    }
    if (video.paused || document.visibilityState === 'hidden') {
      this.#movedAt = now;
      if (video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA && !video.seeking) this.still.value = false;
      // A picture that stands because the viewer paused, or must tap first, is a picture; a phone loads none before the tap.
      const isOpen = this.playback.value.phase.kind === 'opening' && video.readyState >= HTMLMediaElement.HAVE_METADATA;
      return isOpen ? this.#fact({ type: 'rolling' }) : undefined;
    }
    if (now - this.#movedAt > STUCK_MS) {
      this.#movedAt = now;
      this.#fact({ type: 'stuck' });
    }
  }

  async #ask(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    // A server that does not answer says nothing about the recording.
    const exists = await this.#options.exists().catch(() => true);
    this.#asking = false;
    if (!exists && !this.#stop.signal.aborted) this.#fact({ type: 'missing' });
  }
}

/** The end of what there is, seconds from the start; 0 while that is not known. */
function endOf({ duration, seekable }: HTMLVideoElement): number {
  if (Number.isFinite(duration)) return duration;
  return seekable.length > 0 ? seekable.end(seekable.length - 1) : 0;
}

/** The end of the media around the picture, seconds from the start; 0 where there is none. */
function bufferedUntil({ buffered, currentTime }: HTMLVideoElement): number {
  const ranges = Array.from({ length: buffered.length }, (_, i) => [buffered.start(i), buffered.end(i)] as const);
  return ranges.find(([from, until]) => from <= currentTime && currentTime <= until)?.[1] ?? 0;
}
