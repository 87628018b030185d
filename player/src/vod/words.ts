/** The sentences over the picture of a recording. */
import type { Seen, Words } from '../words.ts';
import type { Playback } from './playback.ts';

/** Words for what the player is doing; null when the picture speaks for itself. */
export function words({ phase, seen, attempts, missed }: Playback, { online, late }: Pick<Seen, 'online' | 'late'>): Words | null {
  const reconnecting: Words = { title: 'Reconnecting', detail: 'The connection was lost. Trying again by itself.', busy: true };
  switch (phase.kind) {
    case 'playing':
      return null;
    case 'opening':
      if (late && (attempts > 0 || !online)) return troubled();
      return late ? { title: 'Opening the recording', detail: 'The picture is on its way.', busy: true } : null;
    case 'reconnecting':
      return late || !online ? troubled() : null;
    case 'gone':
      return { title: 'This recording is gone', detail: 'It was removed, or is not public any more.', busy: false, button: 'Try again' };
    case 'unsupported':
      return { title: 'This browser cannot play the recording', detail: phase.reason, busy: false, button: 'Try again' };
  }

  function troubled(): Words {
    if (!online) return { title: 'You are offline', detail: 'The recording goes on as soon as your network is back.', busy: true };
    if (missed) return { title: 'There is no picture yet', detail: 'The server knows this recording and has nothing of it to show. Trying again by itself.', busy: true };
    return seen ? reconnecting : { title: 'The server does not answer', detail: 'Trying again by itself.', busy: true };
  }
}
