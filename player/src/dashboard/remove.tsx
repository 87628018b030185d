/** Removing a stream for good: its name has to be typed, for nothing brings it back. */
import { useSignal } from '@preact/signals';
import { Fault, useDoing } from './act.tsx';
import { call, streamPath } from './client.ts';
import { Dialog } from './dialog.tsx';
import { go } from './place.ts';
import type { Stream } from './shapes.ts';

export function Remove({ stream }: { stream: Stream }) {
  const asking = useSignal(false);
  return (
    <section class="block" aria-labelledby="remove-title">
      <h2 id="remove-title" class="small-head">
        Remove
      </h2>
      <p class="hint">Takes the stream, its keys and its settings away for good.</p>
      <button type="button" class="button danger" onClick={() => (asking.value = true)}>
        Remove stream…
      </button>
      {asking.value && <RemoveDialog stream={stream} onClose={() => (asking.value = false)} />}
    </section>
  );
}

function RemoveDialog({ stream, onClose }: { stream: Stream; onClose: () => void }) {
  const typed = useSignal('');
  const doing = useDoing();
  const sure = typed.value.trim() === stream.name;
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!sure) return;
    const done = await doing.run(async () => void (await call('DELETE', streamPath(stream.name))));
    if (!done) return;
    onClose();
    go('/dashboard');
  };
  return (
    <Dialog title={`Remove ${stream.name}?`} onClose={onClose}>
      <form class="stack" onSubmit={(event) => void submit(event)}>
        <p>{stream.live && 'It is live now: its viewers lose it at once. '}Its keys stop working, and nothing brings it back.</p>
        <label class="field">
          <span class="field-name">
            Type <code>{stream.name}</code> to confirm
          </span>
          <input
            value={typed.value} autocapitalize="off" autocomplete="off" spellcheck={false}
            onInput={(event) => (typed.value = event.currentTarget.value)}
          />
        </label>
        <Fault doing={doing} />
        <div class="buttons">
          <button type="submit" class="button danger" disabled={!sure || doing.busy.value}>
            Remove for good
          </button>
          <button type="button" class="button" onClick={onClose}>
            Keep it
          </button>
        </div>
      </form>
    </Dialog>
  );
}
