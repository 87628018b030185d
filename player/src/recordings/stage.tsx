/** The place of the player before there is one, with the words for why. */
import { Said } from '../over.tsx';
import type { Words } from '../words.ts';
import type { Seen } from './seen.ts';

const GONE: Words = { title: 'There is no such recording', detail: 'It was removed, or is not public.', busy: false };
const SILENT: Words = { title: 'The server does not answer', detail: 'Trying again by itself.', busy: true };

export function Stage({ seen }: { seen: Seen }) {
  const words = seen.is === 'gone' ? GONE : seen.is === 'silent' ? SILENT : null;
  return (
    <div class="screen stage">
      <div class="over" role="status">
        {words ? <Said words={words} /> : <span class="unseen">The recording is being loaded</span>}
      </div>
    </div>
  );
}
