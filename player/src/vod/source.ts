/** Asks the server for a storyboard and its sheets, which are in the same folder as the recording's playlist. */
import type { Sheet, StorySource } from './story.ts';

/** An answer later than this is treated as none. */
const TEXT_PATIENCE_MS = 6_000;
/** A sheet has some hundred kilobytes, and the picture itself comes first. */
const SHEET_PATIENCE_MS = 20_000;

/** `hls`: path of the playlist, which of a private recording has a ticket in front. */
export function serverSource(hls: string): StorySource {
  const beside = (name: string): string => new URL(name, new URL(hls, location.href)).href;
  return {
    async text() {
      // Whether there is a newer one is for the server to say.
      const answer = await fetch(beside('storyboard.vtt'), { cache: 'no-cache', signal: AbortSignal.timeout(TEXT_PATIENCE_MS) });
      if (answer.status === 404) return null;
      if (!answer.ok) throw new Error(`the storyboard was answered with ${answer.status}`);
      return answer.text();
    },
    sheet: (name) => loadSheet(beside(name)),
  };
}

async function loadSheet(address: string): Promise<Sheet> {
  const image = new Image();
  image.src = address;
  // Another address makes the wait for the first one fail.
  const timer = setTimeout(() => (image.src = ''), SHEET_PATIENCE_MS);
  try {
    await image.decode();
    return image;
  } finally {
    clearTimeout(timer);
  }
}
