/**
 * hls.js behind the `Engine` face. The only file that knows hls.js: everything it says is translated here into facts
 * of our own, and none of its types leave.
 *
 * Live (`openHls`) it must not add delay: playback starts at the hold-back the playlist asks for and stays there. A recording
 * (`openVod`) begins where it is told to.
 */
import Hls, { AbrController, ErrorDetails, ErrorTypes, Events, type ErrorData, type HlsConfig } from 'hls.js';
import { rungLabels, type Engine, type Report, type Rung, type VodEngine, type VodStart } from './engine.ts';
import { Worst, partsBehind, room } from './lag.ts';
import { Shelf } from './shelf.ts';

export function supported(): boolean {
  return Hls.isSupported();
}

/** What the last visit in this tab learned about the network, so that the next one starts on the right rung. */
const RATE_KEY = 'weir:rate_bps';
/** First guess without any knowledge: enough for 720p at 2.8 Mb/s with sound. */
const RATE_GUESS_BPS = 4_000_000;
const RATE_MIN_BPS = 400_000;
const RATE_MAX_BPS = 50_000_000;

const RETRY = { maxNumRetry: 3, retryDelayMs: 200, maxRetryDelayMs: 2_000, backoff: 'exponential' as const };

function common(rate_bps: number): Partial<HlsConfig> {
  return {
    // Nothing is transmuxed (media is CMAF), so a worker would only add a copy, and a blob: script.
    enableWorker: false,
    // Start at once on the rung the network is believed to carry, no test download of the lowest first.
    startFragPrefetch: true,
    testBandwidth: false,
    abrEwmaDefaultEstimate: rate_bps,
    abrEwmaDefaultEstimateMax: RATE_MAX_BPS,
    // What fails for a moment is asked again soon; what fails for longer is the playback machine's business.
    manifestLoadPolicy: { default: { maxTimeToFirstByteMs: 10_000, maxLoadTimeMs: 15_000, timeoutRetry: null, errorRetry: null } },
    // A blocking reload may be held for 8 s.
    playlistLoadPolicy: { default: { maxTimeToFirstByteMs: 12_000, maxLoadTimeMs: 15_000, timeoutRetry: RETRY, errorRetry: RETRY } },
    fragLoadPolicy: { default: { maxTimeToFirstByteMs: 10_000, maxLoadTimeMs: 20_000, timeoutRetry: RETRY, errorRetry: RETRY } },
  };
}

function liveConfig(rate_bps: number): Partial<HlsConfig> {
  return {
    ...common(rate_bps),
    lowLatencyMode: true,
    // Media Source is told the stream has no end; without this `duration` grows and live state is guessed.
    liveDurationInfinity: true,
    // `pace.ts` keeps the delay.
    maxLiveSyncPlaybackRate: 1,
    // One stall must not cost a second of delay for the rest of the show.
    liveSyncOnStallIncrease: 0.25,
    // The browser bounds what is kept behind the playhead. Where hls.js 1.7 does, at each new segment, it forgets the one it is
    // appending when its first part is on the way just then, plays on in another rendition and can hang there.
    backBufferLength: Infinity,
    maxBufferLength: 12,
    maxMaxBufferLength: 30,
    // Parts are small, so single readings are noisy: up only with room to spare, down within a segment.
    abrBandWidthFactor: 0.9,
    abrBandWidthUpFactor: 0.65,
    maxStarvationDelay: 2,
    maxLoadingDelay: 2,
  };
}

function vodConfig(rate_bps: number, from: VodStart): Partial<HlsConfig> {
  return {
    ...common(rate_bps),
    // There are no parts. One that still runs is a playlist that grows; said outright, zero is its start and not its edge.
    lowLatencyMode: false,
    ...('behind_s' in from ? { liveSyncDuration: from.behind_s } : { startPosition: from.at_s }),
    // Room for a seek without loading anew, and no more than a phone can hold.
    backBufferLength: 60,
    maxBufferLength: 30,
    maxMaxBufferLength: 60,
  };
}

/** What must be left in the buffer when the viewer's rung changes to a slower one. */
const MARGIN_S = 0.4;
/** A change the viewer asked for waits so long for that, then it comes anyway. */
const ROOM_WAIT_MS = 6_000;
/** A network this many times faster than the rung asks for no change: no room is kept for one. */
const CALM = 2.5;

/** With less than this ahead a lower rung is taken in the middle of a segment: a frozen picture beats a stall. */
const EMERGENCY_S = 0.3;

/**
 * hls.js may change the rung between any two parts, but only the first part of a segment can be decoded on its own: a
 * change inside a segment replaces the frames after it and freezes the picture for up to a second (measured with
 * hls.js 1.7.4 and parts of 0.4 s). So a segment is finished in the rung it was begun in.
 */
function midSegment(hls: Hls): boolean {
  const details = hls.levels[hls.loadLevel]?.details;
  const parts = details?.live ? details.partList : null;
  if (!details || !parts) return false;
  const last = parts.findLastIndex((part) => part.loaded);
  const part = parts[last];
  // Nothing loaded by parts of late: whole segments are, and after each a change is free.
  if (!part || part.end < (hls.mainForwardBufferInfo?.end ?? 0) - 0.1) return false;
  const next = parts[last + 1];
  // Whole, and listed as whole with the first part of the next one, which is the one announced.
  if (!next && details.preloadHint?.['URI']?.endsWith(FIRST_PART)) return false;
  return next ? next.fragment.sn === part.fragment.sn : details.fragmentHint?.sn === part.fragment.sn;
}

/** What the name of a segment's first part ends with. */
const FIRST_PART = '.0.m4s';
/** A playlist read longer ago may have nothing in common with what it lists now: it offers about 30 s. */
const STALE_S = 20;

/**
 * Playlists are asked for with the session id of CTA-5004, so that the server counts this player once whatever shares its address.
 * It is made for one page view and kept nowhere.
 */
function announced(session: string, renewed: (url: string) => string): Pick<HlsConfig, 'xhrSetup'> {
  return {
    xhrSetup: (xhr, url) => {
      const asked = renewed(url);
      const isPlaylist = /\.m3u8(\?|$)/.test(url);
      if ((isPlaylist || asked !== url) && xhr.readyState === XMLHttpRequest.UNSENT) xhr.open('GET', asked, true);
      if (isPlaylist) xhr.setRequestHeader('CMCD-Session', `sid="${session}"`);
    },
  };
}

/** `480p` of `…/480p.m3u8`. */
function nameOf(url: string | undefined): string | null {
  return url ? (/\/([^/?]+)\.m3u8/.exec(url)?.[1] ?? null) : null;
}

/** Not `randomUUID`, which browsers have over HTTPS alone. */
function sessionId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
const SESSION = sessionId();

/** `renewed`: the address to ask for in the place of one that stands in a playlist read before. */
export function openHls(video: HTMLVideoElement, url: string, report: Report, renewed: (url: string) => string): Engine {
  let held: number | null = null;
  let askedAt = 0;
  const worst = new Worst();
  /** Delay beyond the hold-back that a change of rung needs; none for a viewer who stays on one. */
  const extra = (hls: Hls): number => {
    const details = hls.latestLevelDetails;
    const level = hls.levels[hls.loadLevel];
    if (!details || !level) return 0;
    const stays = held === null ? hls.bandwidthEstimate > CALM * level.maxBitrate : held === hls.loadLevel;
    if (stays) return 0;
    return room(worst.get(performance.now()), details.partHoldBack, details.partTarget, MARGIN_S);
  };
  const hasRoom = (hls: Hls): boolean =>
    performance.now() - askedAt > ROOM_WAIT_MS || hls.latency - (hls.targetLatency ?? 0) > extra(hls) - 0.1;
  class AtSegments extends AbrController {
    override get nextAutoLevel(): number {
      const wanted = held ?? super.nextAutoLevel;
      // Gone once the engine is dropped; its last timers may still ask.
      const hls = this.hls as Hls | null;
      if (!hls || hls.loadLevel < 0 || wanted === hls.loadLevel) return wanted;
      const now = hls.loadLevel;
      if (!midSegment(hls) && (held === null || hasRoom(hls))) return wanted;
      const ahead = hls.mainForwardBufferInfo?.len ?? 0;
      return held === null && wanted < now && ahead < EMERGENCY_S ? wanted : now;
    }

    override set nextAutoLevel(level: number) {
      super.nextAutoLevel = level;
    }
  }
  const hls = new Hls({ ...liveConfig(rememberedRate()), ...announced(SESSION, renewed), abrController: AtSegments });
  tell(hls, report);
  hls.on(Events.LEVEL_SWITCHING, (_, { level }) => {
    // A rung that was left long ago: hls.js 1.7 would guess where its playlist is by now from the mean length of segments, and
    // be seconds off where these vary. Without what it knew it goes by the dates, which are exact.
    const known = hls.levels[level];
    if (known?.details && known.details.age > STALE_S) delete known.details;
    // Arrived on the rung the viewer holds: from here on nothing may leave it.
    if (level === held) hls.loadLevel = level;
  });
  hls.on(Events.LEVEL_UPDATED, (_, { details }) => {
    if (!details.live) return report({ type: 'closing' });
    const listed = (details.partList ?? []).map((part) => ({ msn: part.fragment.sn, part: part.index }));
    const others = (details.renditionReports ?? []).map((other) => ({
      msn: other.decimalInteger('LAST-MSN'), part: other.decimalInteger('LAST-PART'),
    }));
    worst.put(partsBehind(listed, others) * details.partTarget, performance.now());
  });
  const shelf = new Shelf();
  hls.on(Events.FRAG_BUFFERED, (_, { frag, part }) => {
    if (frag.type === 'main') shelf.put((part ?? frag).start, frag.level);
  });
  hls.attachMedia(video);
  hls.loadSource(url);

  return {
    resume: () => hls.startLoad(-1),
    recover: () => hls.recoverMediaError(),
    goLive() {
      const at = hls.liveSyncPosition;
      if (at !== null && Number.isFinite(at)) video.currentTime = at;
    },
    choose(id) {
      // What is buffered is played, and the change comes with the next segment.
      held = id;
      askedAt = performance.now();
      hls.loadLevel = id === hls.loadLevel ? id : -1;
    },
    showing: () => shelf.at(video.currentTime),
    behindEdge: () => (hls.latency > 0 ? hls.latency : null),
    target: () => (hls.targetLatency === null ? null : hls.targetLatency + extra(hls)),
    pictureTime: () => hls.playingDate?.getTime() ?? null,
    destroy: () => hls.destroy(),
  };
}

/** A recording, or the past of a live. While it still runs, what was added to it is loaded by itself. */
export function openVod(video: HTMLVideoElement, url: string, from: VodStart, report: Report): VodEngine {
  const hls = new Hls(vodConfig(rememberedRate(), from));
  let showing: number | null = null;
  tell(hls, report);
  hls.on(Events.FRAG_CHANGED, (_, { frag }) => (showing = frag.level));
  hls.attachMedia(video);
  hls.loadSource(url);
  return {
    resume: () => hls.startLoad(video.currentTime),
    recover: () => hls.recoverMediaError(),
    choose(id) {
      // What is buffered behind the present segment is thrown away, so that the change shows soon.
      hls.nextLevel = id ?? -1;
    },
    showing: () => showing,
    earliest: () => hls.latestLevelDetails?.fragmentStart ?? 0,
    destroy: () => hls.destroy(),
  };
}

/** What is heard of every engine: its ladder, its faults, and the network's rate for the next one. */
function tell(hls: Hls, report: Report): void {
  hls.on(Events.MANIFEST_PARSED, () => report({ type: 'ladder', rungs: ladderOf(hls) }));
  hls.on(Events.FRAG_BUFFERED, () => remember(hls.bandwidthEstimate));
  hls.on(Events.ERROR, (_, error) => {
    const fact = translate(error);
    if (fact) report(fact);
  });
}

function ladderOf(hls: Hls): Rung[] {
  const labels = rungLabels(hls.levels.map((level) => ({
    width: level.width, height: level.height, frameRate: level.frameRate, bitrate_bps: level.maxBitrate,
  })));
  return hls.levels
    .map((level, id) => ({ id, label: labels[id] ?? '', name: nameOf(level.url[0]), bitrate_bps: level.maxBitrate, lines: level.height }))
    // By picture first: a calm source may announce less than the rungs made of it.
    .sort((a, b) => b.lines - a.lines || b.bitrate_bps - a.bitrate_bps)
    .map(({ id, label, name, bitrate_bps }) => ({ id, label, name, bitrate_bps }));
}

function translate(error: ErrorData): Parameters<Report>[0] | null {
  if (!error.fatal) return null;
  switch (error.details) {
    case ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR:
    case ErrorDetails.BUFFER_ADD_CODEC_ERROR:
    case ErrorDetails.BUFFER_INCOMPATIBLE_CODECS_ERROR:
      return { type: 'unsupported', reason: 'It has no decoder for this video or sound. Another browser may have one.' };
  }
  // hls.js writes 0 for an answer that never came.
  const status = error.response?.code ?? 0;
  if (status === 404 || status === 410) return { type: 'gone' };
  return { type: error.type === ErrorTypes.MEDIA_ERROR ? 'broken' : 'lost' };
}

function rememberedRate(): number {
  try {
    const known = Number(sessionStorage.getItem(RATE_KEY));
    if (known > 0) return Math.min(Math.max(known, RATE_MIN_BPS), RATE_MAX_BPS);
  } catch {
    // Storage is closed to embedded pages in some browsers; the guess below does.
  }
  return RATE_GUESS_BPS;
}

function remember(rate_bps: number): void {
  if (!Number.isFinite(rate_bps)) return;
  try {
    sessionStorage.setItem(RATE_KEY, String(Math.round(rate_bps)));
  } catch {
    // See rememberedRate.
  }
}
