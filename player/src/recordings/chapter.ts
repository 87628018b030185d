/** Chapters of a recording: where its parts begin. Pure. */
import { field, number, text } from '../decode.ts';
import { stamp } from './time.ts';

export interface Chapter {
  /** Seconds from the recording's start. */
  readonly at_s: number;
  readonly title: string;
}

/** One of the API's; null when it is none. */
export function decodeChapter(body: unknown): Chapter | null {
  const at_ms = number(field(body, 'at_ms'));
  const title = text(field(body, 'title'));
  return at_ms === null || at_ms < 0 || !title ? null : { at_s: at_ms / 1000, title };
}

/** The one that is on at a time; null before the first. They rise. */
export function chapterAt(chapters: readonly Chapter[], time_s: number): Chapter | null {
  // A player that was sent to a place may stand a little before it.
  return chapters.findLast((chapter) => chapter.at_s <= time_s + 0.05) ?? null;
}

/** As people write them and the API takes them, a line each. */
export function chapterLines(chapters: readonly Chapter[]): string {
  const fraction = (at_s: number): string => {
    const rest_ms = Math.round(at_s * 1000) % 1000;
    return rest_ms ? `.${String(rest_ms).padStart(3, '0')}` : '';
  };
  return chapters.map(({ at_s, title }) => `${stamp(at_s)}${fraction(at_s)} ${title}`).join('\n');
}
