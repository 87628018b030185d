/** Files to be uploaded: chosen or dropped, with how far each is, and pause, resume, cancel. */
import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { bytes } from './figures.ts';
import { pathOf } from './route.ts';
import { forget, send, sendings, type Sending } from './sending.ts';
import './upload.css';

const TYPES = 'video/mp4,video/quicktime,audio/mp4,.mp4,.m4v,.mov,.m4a';

export function Uploads() {
  const field = useRef<HTMLInputElement>(null);
  const over = useSignal(false);
  const take = (files: FileList | null | undefined): void => send([...(files ?? [])]);
  return (
    <section class="uploads" aria-labelledby="uploads-head">
      <div
        class={over.value ? 'drop over' : 'drop'} onDragOver={(event) => {
          event.preventDefault();
          over.value = true;
        }}
        onDragLeave={() => (over.value = false)} onDrop={(event) => {
          event.preventDefault();
          over.value = false;
          take(event.dataTransfer?.files);
        }}
      >
        <div>
          <h2 id="uploads-head">Upload a film</h2>
          <p class="hint">MP4 with H.264 or HEVC, and AAC. It becomes a recording like any other. Drop it here, or choose it.</p>
        </div>
        <input
          ref={field} type="file" accept={TYPES} multiple hidden aria-label="Files to upload" onChange={(event) => {
            take(event.currentTarget.files);
            event.currentTarget.value = '';
          }}
        />
        <button type="button" class="button" onClick={() => field.current?.click()}>
          Choose files…
        </button>
      </div>
      {sendings.value.length > 0 && (
        <ul class="sendings">
          {sendings.value.map((each) => (
            <Row key={each.key} sending={each} />
          ))}
        </ul>
      )}
    </section>
  );
}

function Row({ sending }: { sending: Sending }) {
  const { name, size } = sending;
  const state = sending.state.value;
  const percent = sending.percent.value;
  const id = sending.id.value;
  const cancel = (): void => {
    void sending.cancel();
    forget(sending);
  };
  return (
    <li class={`sending ${state}`}>
      <span class="sending-name">{state === 'sent' && id ? <a href={pathOf({ at: 'recording', id })}>{name}</a> : name}</span>
      <progress max={100} value={percent} aria-label={`${name}: sent`} />
      <span class="sending-said" role="status">
        {said(state, percent, sending.sent.value, size)}
      </span>
      <span class="buttons">
        {state === 'sending' && (
          <button type="button" class="button" onClick={() => sending.pause()}>
            Pause
          </button>
        )}
        {(state === 'paused' || state === 'failed') && (
          <button type="button" class="button" onClick={() => sending.resume()}>
            {state === 'paused' ? 'Resume' : 'Try again'}
          </button>
        )}
        {state === 'sent' ? (
          <button type="button" class="button" onClick={() => forget(sending)}>
            Hide
          </button>
        ) : (
          <button type="button" class="button" onClick={cancel}>
            Cancel
          </button>
        )}
      </span>
      {sending.trouble.value && (
        <p class="fault" role="alert">
          {sending.trouble.value}
        </p>
      )}
    </li>
  );
}

function said(state: Sending['state']['value'], percent: number, sent: number, size: number): string {
  switch (state) {
    case 'sending':
      return `${percent} % of ${bytes(size)}`;
    case 'paused':
      return `Paused at ${bytes(sent)} of ${bytes(size)}`;
    case 'sent':
      return 'Sent; the recording is being made';
    case 'failed':
      return 'Not sent';
  }
}
