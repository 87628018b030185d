/** The address of the dock inside OBS. It holds a token of its own, so it is shown when asked for. */
import { useSignal } from '@preact/signals';
import { Copy } from '../copy.tsx';
import { field, text } from '../decode.ts';
import { Fault, useDoing } from './act.tsx';
import { call, streamPath } from './client.ts';

export function DockAddress({ name }: { name: string }) {
  const path = useSignal<string | null>(null);
  const doing = useDoing();
  const show = (): void =>
    void doing.run(async () => {
      path.value = text(field(await call('GET', streamPath(name, '/dock')), 'path'));
      if (!path.value) throw new Error('The server gave no address for the dock.');
    });
  return (
    <section class="block" aria-labelledby="dock-title">
      <h2 id="dock-title" class="small-head">
        Dock in OBS
      </h2>
      <p class="hint">Shows the streamer, inside OBS, how this stream is doing and the one thing to change.</p>
      {path.value ? (
        <>
          <Copy label="Dock address" text={location.origin + path.value} />
          <ol class="steps">
            <li>
              In OBS open <b>Docks</b>, <b>Custom Browser Docks…</b>
            </li>
            <li>
              Write a name, paste the address as its URL, and press <b>Apply</b>.
            </li>
          </ol>
          <p class="hint">Whoever has the address can read this stream's health, and nothing else.</p>
        </>
      ) : (
        <button type="button" class="button" onClick={show} disabled={doing.busy.value}>
          Show the address
        </button>
      )}
      <Fault doing={doing} />
    </section>
  );
}
