/** Throwing a recording away: into the trash, back from it, and for good. One that runs is stopped first. */
import { useSignal } from '@preact/signals';
import { titleOf, type Recording } from '../recordings/shape.ts';
import { Fault, useDoing } from './act.tsx';
import { call, recordingPath, streamPath } from './client.ts';
import { Dialog } from './dialog.tsx';
import { go } from './place.ts';

/** A title may be long, or hard to type. */
const WORD = 'delete';

export function Bin({ recording, take }: { recording: Recording; take: (body: unknown) => void }) {
  const asking = useSignal(false);
  const doing = useDoing();
  const { id, stream, status, trashedMs } = recording;
  const act = (path: string) => () => void doing.run(async () => take(await call('POST', recordingPath(id, path))));
  const stop = (): void => void doing.run(async () => take(await call('DELETE', streamPath(stream, '/recording'))));
  const busy = doing.busy.value;
  return (
    <div class="head-buttons">
      <div class="buttons">
        {status === 'recording' && (
          <button type="button" class="button danger" onClick={stop} disabled={busy}>
            Stop recording
          </button>
        )}
        {status !== 'recording' && trashedMs === null && (
          <button type="button" class="button danger" onClick={act('/trash')} disabled={busy}>
            Move to trash
          </button>
        )}
        {trashedMs !== null && (
          <>
            <button type="button" class="button primary" onClick={act('/restore')} disabled={busy}>
              Restore
            </button>
            <button type="button" class="button danger" onClick={() => (asking.value = true)}>
              Delete for good…
            </button>
          </>
        )}
      </div>
      <Fault doing={doing} />
      {asking.value && <DeleteDialog recording={recording} onClose={() => (asking.value = false)} />}
    </div>
  );
}

function DeleteDialog({ recording, onClose }: { recording: Recording; onClose: () => void }) {
  const typed = useSignal('');
  const doing = useDoing();
  const sure = typed.value.trim().toLowerCase() === WORD;
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!sure) return;
    const done = await doing.run(async () => void (await call('DELETE', recordingPath(recording.id))));
    if (!done) return;
    onClose();
    go('/dashboard/recordings');
  };
  return (
    <Dialog title={`Delete ${titleOf(recording)}?`} onClose={onClose}>
      <form class="stack" onSubmit={(event) => void submit(event)}>
        <p>Nothing brings it back. Clips that were cut from it stay.</p>
        <label class="field">
          <span class="field-name">
            Type <code>{WORD}</code> to confirm
          </span>
          <input
            value={typed.value} autocapitalize="off" autocomplete="off" spellcheck={false}
            onInput={(event) => (typed.value = event.currentTarget.value)}
          />
        </label>
        <Fault doing={doing} />
        <div class="buttons">
          <button type="submit" class="button danger" disabled={!sure || doing.busy.value}>
            Delete for good
          </button>
          <button type="button" class="button" onClick={onClose}>
            Keep it
          </button>
        </div>
      </form>
    </Dialog>
  );
}
