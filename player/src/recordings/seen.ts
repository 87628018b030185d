/** What is known of the recording a page is about: asked for at once, and again while it may change or the server is away. */
import { useSignal, type ReadonlySignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { fetchRecording } from './api.ts';
import { isChanging, type Recording } from './shape.ts';

/** The last recording that was known stays while the server is away. */
export type Seen =
  | { readonly is: 'loading' }
  | { readonly is: 'there'; readonly recording: Recording }
  | { readonly is: 'gone' }
  | { readonly is: 'silent'; readonly recording: Recording | null };

/** Between two looks at one that changes by itself. */
const CHANGING_MS = 10_000;
const AWAY_MS = 3_000;

export function useRecording(id: string): ReadonlySignal<Seen> {
  const seen = useSignal<Seen>({ is: 'loading' });
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    let over = false;
    const again = (wait_ms: number): void => void (timer = setTimeout(() => void look(), wait_ms));
    const look = async (): Promise<void> => {
      clearTimeout(timer);
      const found = await fetchRecording(id).catch(() => undefined);
      if (over) return;
      if (found === undefined) {
        seen.value = { is: 'silent', recording: known(seen.value) };
        again(AWAY_MS);
      } else if (found === null) {
        seen.value = { is: 'gone' };
      } else {
        seen.value = { is: 'there', recording: found };
        if (isChanging(found)) again(CHANGING_MS);
      }
    };
    void look();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [id]);
  return seen;
}

/** The recording as it was last seen; null when it was not. */
export function known(seen: Seen): Recording | null {
  return seen.is === 'there' || seen.is === 'silent' ? seen.recording : null;
}
