/** The MP4 files of a recording as the API lists them. Pure. */
import { field, list, number, text } from '../decode.ts';

export interface Download {
  readonly rendition: string;
  readonly href: string;
  readonly beginsMs: number;
  readonly durationMs: number;
  readonly sizeBytes: number;
}

export function decodeDownloads(body: unknown): readonly Download[] {
  return list(field(body, 'downloads'), (each) => {
    const href = text(field(each, 'href'));
    // Only of this server: a link to somewhere else is none of ours.
    if (!href?.startsWith('/')) return null;
    return {
      href,
      rendition: text(field(each, 'rendition')) ?? '',
      beginsMs: number(field(each, 'begins_ms')) ?? 0,
      durationMs: number(field(each, 'duration_ms')) ?? 0,
      sizeBytes: number(field(each, 'size_bytes')) ?? 0,
    };
  });
}

/** What the link to one of them says; the part's time only where there are several of its rendition. */
export function downloadSaid(file: Download, all: readonly Download[], stamp: (s: number) => string): string {
  const name = file.rendition === 'source' ? 'Original' : file.rendition;
  const isPart = all.filter(({ rendition }) => rendition === file.rendition).length > 1;
  return isPart ? `${name}, from ${stamp(file.beginsMs / 1000)} to ${stamp((file.beginsMs + file.durationMs) / 1000)}` : name;
}
