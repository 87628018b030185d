/** A recording as the API tells of it, decoded by hand. The public pages and the operator's read the same shape. */
import { field, list, number, text, word } from '../decode.ts';
import { decodeChapter, type Chapter } from './chapter.ts';

export type Visibility = 'public' | 'unlisted' | 'private';
export type Status = 'recording' | 'processing' | 'available' | 'failed';

export const VISIBILITIES = ['public', 'unlisted', 'private'] as const satisfies readonly Visibility[];
export const STATUSES = ['recording', 'processing', 'available', 'failed'] as const satisfies readonly Status[];

export interface Recording {
  /** Part of its addresses. */
  readonly id: string;
  /** The stream it is of, which may be gone. */
  readonly stream: string;
  /** Empty when none was given. */
  readonly title: string;
  /** May have line breaks. */
  readonly description: string;
  readonly tags: readonly string[];
  readonly visibility: Visibility;
  readonly status: Status;
  /** Why it failed; empty unless it did. */
  readonly reason: string;
  /** How far it is while it is made of an uploaded file; null when it is not, and for viewers. */
  readonly percent: number | null;
  /** When it began, milliseconds since 1970. */
  readonly startedMs: number | null;
  /** How long it is to watch; while it runs, as last noted. */
  readonly durationMs: number;
  readonly sizeBytes: number | null;
  /** The pictures it is kept in. */
  readonly renditions: readonly string[];
  /** The recording it was cut from. */
  readonly clipOf: string | null;
  /** Its parts with names, by their beginnings. */
  readonly chapters: readonly Chapter[];
  /** In the trash since; null when it is not. */
  readonly trashedMs: number | null;
  /** Path of its playlist. Of a private one it holds a ticket, for who may know. */
  readonly hls: string;
  /** Path of its picture, which there may not be. */
  readonly thumb: string;
}

/** A piece of a list. */
export interface Page {
  readonly recordings: readonly Recording[];
  /** What to ask the next piece with; null at the end. */
  readonly next: string | null;
  /** How many there are over all pieces; null when not told. */
  readonly total: number | null;
}

export function decodePage(body: unknown): Page {
  return {
    recordings: list(field(body, 'recordings'), decodeRecording),
    next: text(field(body, 'next')),
    total: number(field(body, 'total')),
  };
}

/** One recording, or null when the answer names none. */
export function decodeRecording(body: unknown): Recording | null {
  const id = text(field(body, 'id'));
  if (!id) return null;
  return {
    id,
    stream: text(field(body, 'stream')) ?? '',
    title: text(field(body, 'title')) ?? '',
    description: text(field(body, 'description')) ?? '',
    tags: list(field(body, 'tags'), text),
    // A word of a newer server is taken for the most careful one, and for the one that promises least.
    visibility: word(field(body, 'visibility'), VISIBILITIES, 'private'),
    status: word(field(body, 'status'), STATUSES, 'processing'),
    reason: text(field(body, 'reason')) ?? '',
    percent: number(field(body, 'percent')),
    startedMs: number(field(body, 'started_ms')),
    durationMs: Math.max(0, number(field(body, 'duration_ms')) ?? 0),
    sizeBytes: number(field(body, 'size_bytes')),
    renditions: list(field(body, 'renditions'), text),
    clipOf: text(field(body, 'clip_of')),
    chapters: list(field(body, 'chapters'), decodeChapter),
    trashedMs: number(field(body, 'trashed_ms')),
    hls: text(field(body, 'hls')) ?? `/vod/${encodeURIComponent(id)}/index.m3u8`,
    thumb: text(field(body, 'thumb')) ?? `/vod/${encodeURIComponent(id)}/thumb.jpg`,
  };
}

/** What people read as its name. */
export function titleOf({ title, stream }: Recording): string {
  return title || stream || 'Recording';
}

/** It changes by itself: it runs, or is being made ready. */
export function isChanging({ status }: Recording): boolean {
  return status === 'recording' || status === 'processing';
}

/** Seconds; of one that runs, as far as it has come by now. */
export function lengthOf({ status, startedMs, durationMs }: Recording, nowMs: number): number {
  const running_ms = status === 'recording' && startedMs !== null ? nowMs - startedMs : 0;
  return Math.max(durationMs, running_ms) / 1000;
}

export function pagePath(id: string): string {
  return `/recordings/${encodeURIComponent(id)}`;
}

export function embedPath(id: string): string {
  return `/embed/recordings/${encodeURIComponent(id)}`;
}

/** What opens a private recording, as the page's own address has it. */
export function ticketIn(search: string): string | null {
  return new URLSearchParams(search).get('ticket');
}

/** The id at the end of `/recordings/ID` and `/embed/recordings/ID`, which the server only serves for ids. */
export function idInPath(path: string): string {
  return decodeURIComponent(path.split('/').at(-1) ?? '');
}
