/** What is asked for again and again while a page is open. The last answer stays when the server is away. */
import { useSignal, type Signal } from '@preact/signals';
import { useCallback, useEffect } from 'preact/hooks';
import { reason } from './client.ts';

export interface Polled<T> {
  /** The last answer; null before the first. */
  readonly data: Signal<T | null>;
  /** Why there is no newer one; null while all is well. */
  readonly trouble: Signal<string | null>;
  /** When the last answer came. */
  readonly atMs: Signal<number | null>;
  /** Asks now. */
  readonly again: () => Promise<void>;
}

/** Asks at once and then every `every_ms` while the page is looked at. */
export function usePolled<T>(ask: () => Promise<T>, every_ms: number): Polled<T> {
  const data = useSignal<T | null>(null);
  const trouble = useSignal<string | null>(null);
  const atMs = useSignal<number | null>(null);
  const again = useCallback(async () => {
    try {
      data.value = await ask();
      atMs.value = Date.now();
      trouble.value = null;
    } catch (error) {
      trouble.value = reason(error);
    }
  }, []);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    let over = false;
    const round = async (): Promise<void> => {
      if (document.visibilityState === 'visible') await again();
      if (!over) timer = setTimeout(() => void round(), every_ms);
    };
    const visible = (): void => {
      if (document.visibilityState === 'visible') void again();
    };
    void round();
    document.addEventListener('visibilitychange', visible);
    return () => {
      over = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', visible);
    };
  }, []);
  return { data, trouble, atMs, again };
}
