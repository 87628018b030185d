/** Adding a stream: a name, and then, once, its key with everything OBS needs. */
import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { Fault, useDoing } from './act.tsx';
import { nameFault, tidyName, TITLE_MAX } from './change.ts';
import { call } from './client.ts';
import { Dialog } from './dialog.tsx';
import { ObsSteps } from './obs.tsx';
import { go } from './place.ts';
import { pathOf } from './route.ts';
import { decodeStream, type Stream } from './shapes.ts';

/** The form alone; `onAdded` gets the stream with its key. */
export function AddForm({ onAdded, onCancel }: { onAdded: (stream: Stream) => void; onCancel?: () => void }) {
  const name = useSignal('');
  const title = useSignal('');
  const doing = useDoing();
  const tried = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  const wrong = tried.value ? nameFault(name.value) : null;
  const submit = (event: Event): void => {
    event.preventDefault();
    tried.value = true;
    if (nameFault(name.value)) return field.current?.focus();
    void doing.run(async () => {
      const added = decodeStream(await call('POST', '/streams', { name: name.value, title: title.value.trim() }));
      if (!added) throw new Error('The server made the stream and did not say so clearly. Reload this page.');
      onAdded(added);
    });
  };
  return (
    <form class="stack" onSubmit={submit} noValidate>
      <label class="field">
        <span class="field-name">Name</span>
        <input
          ref={field} value={name.value} autocapitalize="off" autocomplete="off" spellcheck={false} required maxLength={63}
          placeholder="friday-show" aria-invalid={wrong !== null} aria-describedby="name-hint"
          onInput={(event) => {
            name.value = event.currentTarget.value = tidyName(event.currentTarget.value);
          }}
        />
        <span id="name-hint" class={wrong ? 'hint fault' : 'hint'}>
          {wrong ?? <>Part of its address, and it stays: {location.host}/watch/{name.value || 'friday-show'}</>}
        </span>
      </label>
      <label class="field">
        <span class="field-name">Title, if you like</span>
        <input
          value={title.value} maxLength={TITLE_MAX} autocomplete="off" onInput={(event) => (title.value = event.currentTarget.value)}
        />
        <span class="hint">What viewers read. It can be changed at any time.</span>
      </label>
      <Fault doing={doing} />
      <div class="buttons">
        <button type="submit" class="button primary" disabled={doing.busy.value}>
          {doing.busy.value ? 'Adding…' : 'Add stream'}
        </button>
        {onCancel && (
          <button type="button" class="button" onClick={onCancel}>
            Cancel
          </button>
        )}
      </div>
    </form>
  );
}

export function AddDialog({ onClose }: { onClose: () => void }) {
  const added = useSignal<Stream | null>(null);
  if (added.value) return <KeyDialog stream={added.value} onClose={onClose} isNew />;
  return (
    <Dialog key="form" title="Add stream" onClose={onClose}>
      <AddForm onAdded={(stream) => (added.value = stream)} onCancel={onClose} />
    </Dialog>
  );
}

/** A new key, once. It does not go away by a slip: Escape asks to copy it first. */
export function KeyDialog({ stream, onClose, isNew }: { stream: Stream; onClose: () => void; isNew?: boolean }) {
  const copied = useSignal(false);
  const slipped = useSignal(false);
  const mayClose = (): boolean => {
    slipped.value = !copied.value;
    return copied.value;
  };
  const open = (): void => {
    onClose();
    go(pathOf({ at: 'stream', name: stream.name }));
  };
  return (
    <Dialog key="key" title={isNew ? `${stream.name} is ready` : `New key for ${stream.name}`} onClose={onClose} mayClose={mayClose}>
      <p>The key is shown this once: copy it now. A lost key is no harm, a new one can be made at any time.</p>
      <ObsSteps streamKey={stream.key ?? ''} onCopied={() => (copied.value = true)} />
      <p class="fault" role="alert" hidden={!slipped.value}>
        Copy the key first, or press a button below to close without it.
      </p>
      <div class="buttons">
        {isNew ? (
          <>
            <button type="button" class="button primary" onClick={open}>
              Open the stream
            </button>
            <button type="button" class="button" onClick={onClose}>
              Back to the list
            </button>
          </>
        ) : (
          <button type="button" class="button primary" onClick={onClose}>
            I have the key
          </button>
        )}
      </div>
    </Dialog>
  );
}
