/** What is said of a recording as its form holds it, and the change to send for what was edited. Pure. */
import type { Recording, Visibility } from '../recordings/shape.ts';
import { chapterLines } from '../recordings/chapter.ts';

export interface Details {
  readonly title: string;
  readonly description: string;
  /** As typed, with commas between. */
  readonly tags: string;
  readonly visibility: Visibility;
  /** As typed, a line each: a time and a title. */
  readonly chapters: string;
}

export const DESCRIPTION_MAX = 5_000;
const TAGS_MAX = 20;
const TAG_MAX = 40;

export function detailsOf({ title, description, tags, visibility, chapters }: Recording): Details {
  return { title, description, tags: tags.join(', '), visibility, chapters: chapterLines(chapters) };
}

/** What is wrong with it, in a sentence; null when it can be sent. */
export function detailsFault(details: Details): string | null {
  const tags = tagsOf(details.tags);
  if (tags.length > TAGS_MAX) return `At most ${TAGS_MAX} tags; these are ${tags.length}.`;
  const long = tags.find((tag) => [...tag].length > TAG_MAX);
  return long ? `A tag has at most ${TAG_MAX} characters: “${[...long].slice(0, TAG_MAX).join('')}…” has more.` : null;
}

/** Only what differs from the recording, in the API's words; empty when nothing does. */
export function detailsChange(recording: Recording, details: Details): Record<string, unknown> {
  const was = wire(detailsOf(recording));
  return Object.fromEntries(Object.entries(wire(details)).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(was[name])));
}

/** Tags as the server keeps them: trimmed, none twice whatever its case. */
function tagsOf(typed: string): string[] {
  const tags = new Map<string, string>();
  for (const tag of typed.split(',').map((part) => part.trim())) {
    const key = tag.toLowerCase();
    if (tag && !tags.has(key)) tags.set(key, tag);
  }
  return [...tags.values()];
}

function wire(details: Details): Record<string, unknown> {
  return {
    title: details.title.trim(),
    description: details.description.trim(),
    tags: tagsOf(details.tags),
    visibility: details.visibility,
    chapters: details.chapters.trim(),
  };
}
