/**
 * The hands of the playback machine: owns the video element, the engine, the timers and what the page shows (signals).
 * `playback.ts` decides; this file only tells it what happened and does what it says. One per page.
 */
import { batch, computed, signal } from '@preact/signals';
import { probe, type LiveStream } from './api.ts';
import { ServerClock } from './clock.ts';
import type { Engine, EngineFact, Report, Rung } from './engine.ts';
import { openHls, supported } from './hls.ts';
import { baseOf, withTicket } from './name.ts';
import { openNative } from './native.ts';
import { pace } from './pace.ts';
import { start, step, type Action, type Fact, type Playback, type Step } from './playback.ts';
import { keepStill } from './still.tsx';
import { words } from './words.ts';

/** The clock of the page's own life. Not on screen: nothing here is finer than what a person notices. */
const TICK_MS = 250;
/** No progress for this long: the server may know why. */
const STANDING_MS = 1_000;
/** No progress for this long while playing is a fault; the engine mends smaller holes by itself. */
const STUCK_MS = 6_000;
/** The same after the playlist was closed: then it is the end, with the last part of one track missing. */
const STUCK_CLOSING_MS = 1_500;
/** A tick that comes this much late means the machine slept or the tab was frozen. */
const SLEPT_MS = 4_000;
/** Behind the wanted place by more than this after sleep, a hidden tab or a long pause: go to the live edge. */
const LEFT_BEHIND_S = 6;
/** Late by more than this through no wish of the viewer's (a stall): jump rather than hurry for minutes. */
const JUMP_S = 2.5;
/** Up to here the viewer counts as live. */
const LIVE_WITHIN_S = 2;
/** A phase without picture is worth words after this. */
const WORDS_AFTER_MS = 700;

export class Viewer {
  readonly name: string;
  /** What opens a private stream, as the page's address has it. */
  #ticket: string | null;

  readonly stream = signal<LiveStream | null>(null);
  readonly rungs = signal<readonly Rung[]>([]);
  /** The rung the viewer holds; null is automatic. */
  readonly held = signal<number | null>(null);
  readonly showing = signal<number | null>(null);
  /** Seconds from the streamer's server to this screen; null when unknown. */
  readonly delay = signal<number | null>(null);
  readonly atLive = signal(true);
  readonly paused = signal(true);
  /** The browser allowed the start only without sound: the page offers to turn it on. */
  readonly silenced = signal(false);
  /** Even a silent start was refused: the page offers a play button. */
  readonly blocked = signal(false);
  readonly playback = signal<Playback>(start(0).next);
  /** A still of the last picture is shown under the words. */
  readonly still = signal(false);
  readonly #online = signal(navigator.onLine);
  readonly #late = signal(false);
  readonly words = computed(() => {
    const { phase, seen, attempts } = this.playback.value;
    return words(phase, { online: this.#online.value, late: this.#late.value, seen, again: attempts > 0 });
  });

  readonly #clock = new ServerClock();
  readonly #stop = new AbortController();
  #video: HTMLVideoElement | null = null;
  #canvas: HTMLCanvasElement | null = null;
  #engine: Engine | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;
  #tickedAt = performance.now();
  #phaseAt = performance.now();
  /** When the picture last moved, or had a reason not to. */
  #movedAt = performance.now();
  /** When the picture last moved. */
  #rolledAt = 0;
  #position = -1;
  #closing = false;
  #probing = false;
  #heldLabel: string | null = null;
  /** False from the viewer's own pause to the viewer's own play: a new engine does not start over that wish. */
  #wanted = true;
  /** The viewer paused or went back, and is behind on purpose. */
  #behind = false;

  constructor(name: string, ticket: string | null = null) {
    this.name = name;
    this.#ticket = ticket;
  }

  /** Path of the newest picture. */
  get poster(): string {
    return `${this.#media}/thumb.jpg`;
  }

  get #media(): string {
    return `${baseOf(this.#ticket)}/live/${encodeURIComponent(this.name)}`;
  }

  /** Goes on with another ticket before the one it has is over; null when none is needed any more. */
  renew(ticket: string | null): void {
    if (ticket === this.#ticket) return;
    const opens = ticket === null || this.#ticket === null;
    this.#ticket = ticket;
    // With one in the place of another playlists and media are asked for by the new one, and the picture stays.
    if (opens || this.playback.value.phase.kind === 'refused') this.retry();
  }

  /** Takes the element and begins. `canvas` keeps the last picture while there is no engine. */
  begin(video: HTMLVideoElement, canvas: HTMLCanvasElement): void {
    this.#video = video;
    this.#canvas = canvas;
    const on = { signal: this.#stop.signal };
    video.addEventListener('pause', () => {
      this.paused.value = true;
      // The element also pauses at the end of media and when an engine lets go of it.
      if (this.#engine && !video.ended) {
        this.#wanted = false;
        this.#behind = true;
      }
    }, on);
    video.addEventListener('play', () => this.#resumed(), on);
    video.addEventListener('ended', () => this.#fact({ type: 'finished' }), on);
    video.addEventListener('volumechange', () => {
      if (!video.muted) this.silenced.value = false;
    }, on);
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') this.#awake();
    }, on);
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

  /** The viewer's own tap: sound may begin now. */
  unmute(): void {
    const video = this.#video;
    if (!video) return;
    video.muted = false;
    if (video.volume === 0) video.volume = 1;
    this.silenced.value = false;
    if (video.paused) void this.#play();
  }

  goLive(): void {
    this.#engine?.goLive();
    this.#behind = false;
    this.#movedAt = performance.now();
    if (this.#video?.paused) void this.#play();
  }

  /** Moves inside what is still listed; never past the place where live viewers are. */
  seek(by_s: number): void {
    const video = this.#video;
    if (!video || !video.seekable.length) return;
    const first = video.seekable.start(0);
    this.#behind = true;
    const room = (this.#engine?.behindEdge() ?? 0) - (this.#engine?.target() ?? 0);
    video.currentTime = Math.max(first + 0.5, video.currentTime + Math.min(by_s, Math.max(0, room)));
  }

  /** Holds a rung, or lets the player choose (null). The wish outlives a new session with the same rung. */
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
      case 'probe':
        return void this.#probe();
    }
  }

  #load(): void {
    const video = this.#video;
    if (!video) return;
    this.#unload();
    const url = `${this.#media}/index.m3u8`;
    const generation: { current: Engine | null } = { current: null };
    const report: Report = (fact) => {
      // An engine that was dropped may still be talking; only the present one is heard.
      if (generation.current === null || generation.current === this.#engine) this.#heard(fact);
    };
    if (supported()) {
      this.#engine = generation.current = openHls(video, url, report, (asked) => withTicket(asked, this.#ticket));
    } else if (video.canPlayType('application/vnd.apple.mpegurl')) {
      this.#engine = generation.current = openNative(video, url, report);
    } else {
      return this.#fact({ type: 'unsupported', reason: 'It has neither Media Source nor HLS. A current browser has one of them.' });
    }
    if (this.#wanted) void this.#play();
  }

  #unload(): void {
    const engine = this.#engine;
    this.#engine = null;
    if (engine && keepStill(this.#video, this.#canvas)) this.still.value = true;
    engine?.destroy();
    this.#closing = false;
    this.#position = -1;
    this.#movedAt = performance.now();
    this.delay.value = null;
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
        if (this.#closing) return;
        this.#closing = true;
        return this.#fact(fact);
      default:
        return this.#fact(fact);
    }
  }

  /** Starts with sound; without when the browser demands a tap first; says so when it demands one even then. */
  async #play(): Promise<void> {
    const video = this.#video;
    if (!video) return;
    try {
      await video.play();
      this.blocked.value = false;
    } catch (refused) {
      if (!(refused instanceof DOMException) || refused.name !== 'NotAllowedError') return;
      if (video.muted) {
        this.blocked.value = true;
        return;
      }
      video.muted = true;
      this.silenced.value = true;
      await this.#play();
    }
  }

  #resumed(): void {
    this.paused.value = false;
    this.blocked.value = false;
    this.#wanted = true;
    this.#movedAt = performance.now();
    this.#catchUp();
  }

  #awake(): void {
    this.#movedAt = performance.now();
    this.#catchUp();
    this.#fact({ type: 'awake' });
  }

  /** After an absence: the live edge, unless the viewer is close to it anyway. */
  #catchUp(): void {
    const video = this.#video;
    if (!video || video.paused || this.playback.value.phase.kind !== 'playing') return;
    const behind = this.#engine?.behindEdge() ?? 0;
    if (behind - (this.#engine?.target() ?? 0) > LEFT_BEHIND_S) {
      this.#behind = false;
      this.#engine?.goLive();
    }
  }

  #tick(): void {
    const now = performance.now();
    const slept = now - this.#tickedAt > SLEPT_MS;
    this.#tickedAt = now;
    if (slept && document.visibilityState === 'visible') this.#awake();
    if (this.playback.value.phase.kind !== 'playing') {
      // A picture that still moves, out of the buffer, is better than any words about trouble.
      this.#late.value ||= now - Math.max(this.#phaseAt, this.#rolledAt) >= WORDS_AFTER_MS;
    }
    this.#watchProgress(now);
    this.#readDelay();
    this.#keepPace();
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
      // A picture that stands because the viewer paused, or must tap first, is a picture.
      const opening = this.playback.value.phase.kind === 'opening';
      if (opening && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) {
        this.still.value = false;
        this.#fact({ type: 'rolling' });
      }
      return;
    }
    const still_ms = now - this.#movedAt;
    if (this.#closing && still_ms > STUCK_CLOSING_MS) this.#fact({ type: 'finished' });
    else if (still_ms > STUCK_MS) {
      this.#movedAt = now;
      this.#fact({ type: 'stuck' });
    } else if (still_ms > STANDING_MS) this.#fact({ type: 'standing' });
  }

  #keepPace(): void {
    const video = this.#video;
    const behind = this.#engine?.behindEdge() ?? null;
    const target = this.#engine?.target() ?? null;
    if (!video || behind === null || target === null) return;
    const { buffered } = video;
    const ahead = buffered.length ? buffered.end(buffered.length - 1) - video.currentTime : 0;
    const late = behind - target;
    if (late < LIVE_WITHIN_S) this.#behind = false;
    // Only to where there is something to play already.
    if (late > JUMP_S && ahead > late && !this.#behind && !this.#closing && !video.seeking) return this.#engine?.goLive();
    const rate = this.#closing ? 1 : pace(behind, target, ahead, video.playbackRate);
    if (rate !== video.playbackRate) video.playbackRate = rate;
  }

  #readDelay(): void {
    const engine = this.#engine;
    if (!engine || this.playback.value.phase.kind !== 'playing') return;
    const behind = engine.behindEdge();
    const target = engine.target();
    const taken_ms = engine.pictureTime();
    const server_ms = this.#clock.at(Date.now());
    const fresh = taken_ms !== null && server_ms !== null ? (server_ms - taken_ms) / 1000 : behind;
    batch(() => {
      this.showing.value = engine.showing() ?? this.showing.value;
      // Tenths that flicker are noise: readings are smoothed, jumps are shown at once.
      const was = this.delay.value;
      this.delay.value = fresh === null || was === null || Math.abs(fresh - was) > 1 ? fresh : was + (fresh - was) * 0.15;
      this.atLive.value = !this.paused.value && (behind === null || target === null || behind - target < LIVE_WITHIN_S);
    });
  }

  async #probe(): Promise<void> {
    if (this.#probing) return;
    this.#probing = true;
    const asked = Date.now();
    const answer = await probe(this.name, this.#ticket);
    this.#probing = false;
    if (this.#stop.signal.aborted) return;
    if (answer.is === 'live') {
      if (answer.nowMs !== null) this.#clock.read(answer.nowMs, asked, Date.now());
      this.stream.value = answer.stream;
      const { away, session } = answer.stream;
      this.#fact(away && session !== null ? { type: 'away', session } : { type: 'live', session });
    } else if (answer.is === 'not_live') {
      this.#fact({ type: 'not_live' });
    } else if (answer.is === 'refused') {
      this.#fact({ type: 'refused', reason: answer.reason });
    }
  }
}
