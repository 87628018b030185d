/** What the operator's API says of streams, decoded by hand; a field that is missing reads as not known. */
import { field, list, number, text, word } from '../decode.ts';
import { ticketInPath } from '../name.ts';
import { VISIBILITIES, type Visibility } from '../recordings/shape.ts';

export type Verdict = 'no_data' | 'good' | 'ok' | 'bad';
export type LiveState = 'live' | 'stalled' | 'reconnecting';
export type Takeover = 'newest' | 'reject';
export type Slate = 'last' | 'image' | 'off';
export type Latency = 'low' | 'standard';

export interface Rendition {
  readonly name: string;
  /** Not made at present: the machine needs the room. */
  readonly resting: boolean;
}

export interface Live {
  readonly state: LiveState;
  readonly sinceMs: number | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly fps: number | null;
  /** A slate stands in for the encoder. */
  readonly slate: boolean;
  readonly viewers: number | null;
  readonly thumb: string | null;
  /** What opens a private stream, for a few minutes; null where none is needed. */
  readonly ticket: string | null;
  readonly renditions: readonly Rendition[];
  /** Renditions the machine had no room for when the session began. */
  readonly withheld: readonly string[];
  /** The server's clock at this answer. */
  readonly nowMs: number | null;
  readonly verdict: Verdict;
}

export interface Key {
  readonly id: string;
  readonly createdMs: number | null;
  /** When it stops by itself; null: never. */
  readonly expiresMs: number | null;
}

export interface Stream {
  readonly name: string;
  /** Empty when none was given. */
  readonly title: string;
  /** Null: the server's own. */
  readonly ladder: string | null;
  readonly passthrough: boolean;
  readonly reconnectWindowS: number | null;
  readonly takeover: Takeover | null;
  readonly slate: Slate;
  readonly slateImage: boolean;
  readonly latency: Latency;
  readonly visibility: Visibility;
  readonly stoppedUntilMs: number | null;
  readonly createdMs: number | null;
  readonly keys: readonly Key[];
  readonly live: Live | null;
  /** Only in the answer to its making. */
  readonly key: string | null;
}

/** Something that is wrong, and what to do about it. */
export interface Mendable {
  readonly code: string;
  readonly severity: 'warning' | 'bad';
  readonly problem: string;
  readonly cure: string;
}

export interface Issue extends Mendable {
  readonly value: number | null;
  readonly limit: number | null;
  readonly unit: string;
  readonly sinceMs: number | null;
}

export interface Measured {
  readonly bFrames: number | null;
  readonly sampleRate: number | null;
  readonly channels: number | null;
  readonly skewS: number | null;
  readonly losses: number | null;
}

export interface Health {
  readonly verdict: Verdict;
  /** Worst first. */
  readonly issues: readonly Issue[];
  readonly measured: Measured | null;
}

export interface Stats {
  readonly state: LiveState | 'off';
  readonly uptimeS: number | null;
  readonly bitrateKbps: number | null;
  readonly fps: number | null;
  readonly keyframeS: number | null;
  readonly lagMs: number | null;
  readonly losses: number | null;
  readonly viewers: number | null;
  readonly verdict: Verdict;
  readonly encoder: string | null;
}

/** One second of what came in; null: nothing did. */
export interface Sample {
  readonly atMs: number;
  readonly videoKbps: number | null;
  readonly audioKbps: number | null;
  readonly fps: number | null;
  readonly keyframeS: number | null;
  readonly lagMs: number | null;
  readonly levelDb: number | null;
}

export interface LogRow {
  /** Its number; null from a server that does not count. */
  readonly seq: number | null;
  readonly atMs: number;
  readonly kind: 'info' | 'warning' | 'bad';
  readonly message: string;
}

const VERDICTS = ['no_data', 'good', 'ok', 'bad'] as const;

export function decodeStreams(body: unknown): Stream[] {
  return list(field(body, 'streams'), decodeStream);
}

/** One stream, or null when the answer names none. */
export function decodeStream(body: unknown): Stream | null {
  const name = text(field(body, 'name'));
  if (!name) return null;
  return {
    name,
    title: text(field(body, 'title')) ?? '',
    ladder: text(field(body, 'ladder')),
    passthrough: field(body, 'passthrough') !== false,
    reconnectWindowS: number(field(body, 'reconnect_window_s')),
    takeover: word(field(body, 'takeover'), ['newest', 'reject'], null),
    slate: word(field(body, 'slate'), ['last', 'image', 'off'], 'last'),
    slateImage: field(body, 'slate_image') === true,
    latency: word(field(body, 'latency'), ['low', 'standard'], 'low'),
    // Missing from a server that knows public ones alone; a word of a newer one is taken for the most careful.
    visibility: field(body, 'visibility') === undefined ? 'public' : word(field(body, 'visibility'), VISIBILITIES, 'private'),
    stoppedUntilMs: number(field(body, 'stopped_until_ms')),
    createdMs: number(field(body, 'created_ms')),
    keys: list(field(body, 'keys'), decodeKey),
    live: decodeLive(field(body, 'live')),
    key: text(field(body, 'key')),
  };
}

function decodeKey(body: unknown): Key | null {
  const id = text(field(body, 'id'));
  return id ? { id, createdMs: number(field(body, 'created_ms')), expiresMs: number(field(body, 'expires_ms')) } : null;
}

function decodeLive(body: unknown): Live | null {
  if (typeof body !== 'object' || body === null) return null;
  return {
    state: word(field(body, 'state'), ['live', 'stalled', 'reconnecting'], 'live'),
    sinceMs: number(field(body, 'since_ms')),
    width: number(field(body, 'width')),
    height: number(field(body, 'height')),
    fps: number(field(body, 'fps')),
    slate: field(body, 'slate') === true,
    viewers: number(field(body, 'viewers')),
    thumb: text(field(body, 'thumb')),
    ticket: ticketInPath(text(field(body, 'hls')) ?? ''),
    renditions: list(field(body, 'renditions'), decodeRendition),
    withheld: list(field(body, 'withheld'), text),
    nowMs: number(field(body, 'now_ms')),
    verdict: word(field(body, 'verdict'), VERDICTS, 'no_data'),
  };
}

function decodeRendition(body: unknown): Rendition | null {
  const name = text(field(body, 'name'));
  return name ? { name, resting: field(body, 'resting') === true } : null;
}

export function decodeHealth(body: unknown): Health {
  return {
    verdict: word(field(body, 'verdict'), VERDICTS, 'no_data'),
    issues: list(field(body, 'issues'), decodeIssue),
    measured: decodeMeasured(field(body, 'measured')),
  };
}

function decodeIssue(body: unknown): Issue | null {
  const mendable = decodeMendable(body);
  return mendable && {
    ...mendable,
    value: number(field(body, 'value')),
    limit: number(field(body, 'limit')),
    unit: text(field(body, 'unit')) ?? '',
    sinceMs: number(field(body, 'since_ms')),
  };
}

/** What says neither what is wrong nor what to do is nothing. */
export function decodeMendable(body: unknown): Mendable | null {
  const problem = text(field(body, 'problem'));
  const cure = text(field(body, 'cure'));
  if (!problem && !cure) return null;
  return {
    code: text(field(body, 'code')) ?? '',
    severity: word(field(body, 'severity'), ['warning', 'bad'], 'warning'),
    problem: problem ?? '',
    cure: cure ?? '',
  };
}

function decodeMeasured(body: unknown): Measured | null {
  if (typeof body !== 'object' || body === null) return null;
  return {
    bFrames: number(field(body, 'b_frames')),
    sampleRate: number(field(body, 'sample_rate')),
    channels: number(field(body, 'channels')),
    skewS: number(field(body, 'skew_s')),
    losses: number(field(body, 'losses')),
  };
}

export function decodeStats(body: unknown): Stats {
  return {
    state: word(field(body, 'state'), ['off', 'live', 'stalled', 'reconnecting'], 'off'),
    uptimeS: number(field(body, 'uptime_s')),
    bitrateKbps: number(field(body, 'bitrate_kbps')),
    fps: number(field(body, 'fps')),
    keyframeS: number(field(body, 'keyframe_s')),
    lagMs: number(field(body, 'lag_ms')),
    losses: number(field(body, 'losses')),
    viewers: number(field(body, 'viewers')),
    verdict: word(field(body, 'verdict'), VERDICTS, 'no_data'),
    encoder: text(field(body, 'encoder')),
  };
}

export function decodeSamples(body: unknown): Sample[] {
  return list(field(body, 'samples'), decodeSample);
}

export function decodeSample(body: unknown): Sample | null {
  const atMs = number(field(body, 'at_ms'));
  if (atMs === null) return null;
  return {
    atMs,
    videoKbps: number(field(body, 'video_kbps')),
    audioKbps: number(field(body, 'audio_kbps')),
    fps: number(field(body, 'fps')),
    keyframeS: number(field(body, 'keyframe_s')),
    lagMs: number(field(body, 'lag_ms')),
    levelDb: number(field(body, 'level_db')),
  };
}

export function decodeLog(body: unknown): LogRow[] {
  return list(field(body, 'rows'), decodeLogRow);
}

export function decodeLogRow(body: unknown): LogRow | null {
  const atMs = number(field(body, 'at_ms'));
  const message = text(field(body, 'message'));
  if (atMs === null || !message) return null;
  return { seq: number(field(body, 'seq')), atMs, message, kind: word(field(body, 'kind'), ['info', 'warning', 'bad'], 'info') };
}

/** Median and 95th percentile, milliseconds. */
export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
}

/** What viewers got in the last ten minutes. */
export interface Experience {
  readonly beacons: number;
  readonly startupMs: Percentiles | null;
  readonly latencyMs: Percentiles | null;
  readonly stallRatio: number | null;
  readonly stalls: number;
  readonly errors: number;
  readonly renditions: ReadonlyArray<{ readonly name: string; readonly share: number }>;
}

export function decodeExperience(body: unknown): Experience {
  return {
    beacons: number(field(body, 'beacons')) ?? 0,
    startupMs: decodePercentiles(field(body, 'startup_ms')),
    latencyMs: decodePercentiles(field(body, 'latency_ms')),
    stallRatio: number(field(body, 'stall_ratio')),
    stalls: number(field(body, 'stalls')) ?? 0,
    errors: number(field(body, 'errors')) ?? 0,
    renditions: list(field(body, 'renditions'), (item) => {
      const name = text(field(item, 'name'));
      return name ? { name, share: number(field(item, 'share')) ?? 0 } : null;
    }),
  };
}

function decodePercentiles(body: unknown): Percentiles | null {
  const p50 = number(field(body, 'p50'));
  const p95 = number(field(body, 'p95'));
  return p50 === null || p95 === null ? null : { p50, p95 };
}
