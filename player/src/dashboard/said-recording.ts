/** What became of a recording and who may see it, in words. Pure. */
import type { Status, Visibility } from '../recordings/shape.ts';
import type { Said } from './said.ts';

/** `percent`: how far it is while it is made of an uploaded file. */
export function statusSaid(status: Status, percent: number | null = null): Said {
  switch (status) {
    case 'recording':
      return { word: 'Recording now', tone: 'good' };
    case 'processing':
      return { word: percent === null ? 'Being made ready' : `Being imported, ${percent} %`, tone: 'warning' };
    case 'available':
      return { word: 'Available', tone: 'idle' };
    case 'failed':
      return { word: 'Failed', tone: 'bad' };
  }
}

export function visibilityWord(visibility: Visibility): string {
  return { public: 'Public', unlisted: 'Unlisted', private: 'Private' }[visibility];
}

export function visibilityMeans(visibility: Visibility): string {
  switch (visibility) {
    case 'public':
      return 'Everybody sees it, and it is in the library.';
    case 'unlisted':
      return 'Whoever has its address sees it.';
    case 'private':
      return 'Only operators see it.';
  }
}
