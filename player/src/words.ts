/** The sentences a viewer reads over the picture. One place, so that they stay short and of one voice. */
import type { Phase } from './playback.ts';

export interface Words {
  readonly title: string;
  readonly detail: string;
  /** The page is trying something at this moment: a quiet moving mark goes with the words. */
  readonly busy: boolean;
  /** Label of the button, when only the viewer can go on. */
  readonly button?: string;
}

export interface Seen {
  /** The browser believes it has a network. */
  readonly online: boolean;
  /** The trouble has lasted longer than a moment; shorter ones are not worth a word. */
  readonly late: boolean;
  /** There was a picture before. */
  readonly seen: boolean;
  /** This is not the first attempt. */
  readonly again: boolean;
}

/** Words for a phase; null when the picture speaks for itself. */
export function words(phase: Phase, { online, late, seen, again }: Seen): Words | null {
  const reconnecting: Words = { title: 'Reconnecting', detail: 'The connection was lost. Trying again by itself.', busy: true };
  switch (phase.kind) {
    case 'playing':
      return null;
    case 'opening':
      if (late && seen && again) return reconnecting;
      return late ? { title: 'Opening the stream', detail: 'The picture is on its way.', busy: true } : null;
    case 'waiting':
      return {
        title: 'Not live yet', detail: 'This page starts by itself when the stream begins. A private stream opens with its own link alone.',
        busy: true,
      };
    case 'reconnecting':
      if (!online) return { title: 'You are offline', detail: 'The stream goes on as soon as your network is back.', busy: true };
      if (!late) return null;
      return seen
        ? reconnecting
        : { title: 'The server does not answer', detail: 'Trying again by itself.', busy: true };
    case 'away':
      return { title: 'The streamer is reconnecting', detail: 'The stream goes on by itself when they are back.', busy: true };
    case 'ended':
      return { title: 'The stream has ended', detail: 'If it comes back, this page starts by itself.', busy: false };
    case 'refused':
      return { title: 'This link does not open the stream', detail: phase.reason, busy: false };
    case 'unsupported':
      return { title: 'This browser cannot play the stream', detail: phase.reason, busy: false, button: 'Try again' };
  }
}
