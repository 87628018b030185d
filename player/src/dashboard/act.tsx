/** Something the operator does that the server may refuse: busy while it is under way, then done or a sentence why not. */
import { useSignal, type Signal } from '@preact/signals';
import { Away, reason } from './client.ts';

export interface Doing {
  readonly busy: Signal<boolean>;
  readonly fault: Signal<string | null>;
  /** True when it was done. A second press while it is under way does nothing. */
  readonly run: (work: () => Promise<void>) => Promise<boolean>;
}

export function useDoing(): Doing {
  const busy = useSignal(false);
  const fault = useSignal<string | null>(null);
  const run = async (work: () => Promise<void>): Promise<boolean> => {
    if (busy.value) return false;
    busy.value = true;
    fault.value = null;
    try {
      await work();
      return true;
    } catch (error) {
      fault.value = error instanceof Away ? `${reason(error)} Try again when it is back.` : reason(error);
      return false;
    } finally {
      busy.value = false;
    }
  };
  return { busy, fault, run };
}

/** The element is always there, so that a screen reader hears the text that comes into it. */
export function Fault({ doing }: { doing: Doing }) {
  return (
    <p class="fault" role="alert" hidden={doing.fault.value === null}>
      {doing.fault.value}
    </p>
  );
}
