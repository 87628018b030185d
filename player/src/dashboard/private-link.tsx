/** A link that lets somebody watch a private recording or stream for some hours. */
import { useSignal } from '@preact/signals';
import { Copy } from '../copy.tsx';
import { field, text } from '../decode.ts';
import { Fault, useDoing } from './act.tsx';
import { call } from './client.ts';

/** `tickets`: path of the route that makes them. */
export function PrivateLink({ tickets }: { tickets: string }) {
  const made = useSignal<string | null>(null);
  const doing = useDoing();
  const make = (): void => void doing.run(async () => {
    const watch = text(field(await call('POST', tickets, {}), 'watch'));
    if (!watch) throw new Error('The server made no link; try again.');
    made.value = location.origin + watch;
  });
  return (
    <div class="stack">
      <p class="hint">It is private. A link lets whoever has it watch for six hours, and pass it on.</p>
      {made.value && <Copy label="Good for six hours" text={made.value} />}
      <Fault doing={doing} />
      <div class="buttons">
        <button type="button" class="button" onClick={make} disabled={doing.busy.value}>
          {made.value ? 'Make another link' : 'Make a link'}
        </button>
      </div>
    </div>
  );
}
