/**
 * The server's public read API, decoded by hand: what comes over the wire is `unknown` until a field was looked at.
 * Unknown fields are ignored and optional ones may be missing, so that an older page works with a newer server.
 */
import { field, list, number, text } from './decode.ts';

export interface LiveStream {
  readonly name: string;
  /** What people read; the name when the streamer gave none. */
  readonly title: string;
  /** The publisher lost its connection and may come back to the same session; there is nothing to play meanwhile. */
  readonly away: boolean;
  /** The publisher is away or sends nothing, and a slate is shown in its place: something to play, with a word about it. */
  readonly slate: boolean;
  /** When this session began, milliseconds since 1970 on the server's clock; null when not told. */
  readonly sinceMs: number | null;
  /** Source picture in pixels; 0 for a stream without picture. */
  readonly width: number;
  readonly height: number;
  /** Path of the newest thumbnail, null when there is none. */
  readonly thumb: string | null;
  /** Path of the playlist of what can be rewound to, null when nothing can. */
  readonly rewind: string | null;
  /** Names one run of the stream; a new one means new playlists. Null when the server does not say. */
  readonly session: string | null;
}

/** Where streamers publish to, as the server knows it. */
export interface Doors {
  readonly rtmp: string | null;
  readonly rtmps: string | null;
}

export interface LiveList {
  readonly streams: readonly LiveStream[];
  readonly doors: Doors;
  /** Server clock when it answered, milliseconds since 1970; null when not told. */
  readonly nowMs: number | null;
}

export type Probe =
  | { readonly is: 'live'; readonly stream: LiveStream; readonly nowMs: number | null }
  | { readonly is: 'not_live' }
  /** The ticket that was shown opens nothing; the server says why. */
  | { readonly is: 'refused'; readonly reason: string }
  /** No answer, or none that makes sense: says nothing about the stream. */
  | { readonly is: 'unreachable' };

/** An API answer later than this is treated as none. */
const PATIENCE_MS = 6_000;
/** Of a server that does not say why. */
const REFUSED = 'Ask whoever gave you the link for a new one.';

export async function fetchLive(): Promise<LiveList> {
  const answer = await ask('/api/v1/live');
  if (!answer.ok) throw new Error(`/api/v1/live answered ${answer.status}`);
  return decodeLiveList(await answer.json());
}

/** `ticket`: what the page's address has for a private stream. */
export async function probe(name: string, ticket: string | null): Promise<Probe> {
  try {
    const answer = await ask(livePath(name, '', ticket));
    if (answer.status === 404) return { is: 'not_live' };
    if (answer.status === 403) return { is: 'refused', reason: text(field(await answer.json(), 'message')) ?? REFUSED };
    if (!answer.ok) return { is: 'unreachable' };
    const body: unknown = await answer.json();
    const stream = decodeStream(body);
    return stream ? { is: 'live', stream, nowMs: number(field(body, 'now_ms')) } : { is: 'unreachable' };
  } catch {
    return { is: 'unreachable' };
  }
}

/** Path of what the API has of a stream. */
export function livePath(name: string, rest: string, ticket: string | null): string {
  return `/api/v1/live/${encodeURIComponent(name)}${rest}${ticket === null ? '' : `?ticket=${encodeURIComponent(ticket)}`}`;
}

export function decodeLiveList(body: unknown): LiveList {
  const doors = field(body, 'ingest');
  return {
    streams: list(field(body, 'streams'), decodeStream),
    doors: { rtmp: text(field(doors, 'rtmp')), rtmps: text(field(doors, 'rtmps')) },
    nowMs: number(field(body, 'now_ms')),
  };
}

/** One stream, or null when the answer names none. */
export function decodeStream(body: unknown): LiveStream | null {
  const name = text(field(body, 'name'));
  if (!name) return null;
  return {
    name,
    title: text(field(body, 'title')) ?? name,
    away: field(body, 'state') === 'reconnecting' && field(body, 'slate') !== true,
    slate: field(body, 'slate') === true,
    sinceMs: number(field(body, 'since_ms')),
    width: number(field(body, 'width')) ?? 0,
    height: number(field(body, 'height')) ?? 0,
    thumb: text(field(body, 'thumb')),
    rewind: text(field(body, 'rewind')),
    session: text(field(body, 'session')),
  };
}

/** Asks the public API; throws when no answer comes. */
export function ask(path: string): Promise<Response> {
  return fetch(path, { headers: { accept: 'application/json' }, cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) });
}
