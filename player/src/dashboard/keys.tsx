/** The keys that open a stream: which there are, a new one, and an end for an old one. */
import { useSignal } from '@preact/signals';
import { Fault, useDoing } from './act.tsx';
import { KeyDialog } from './add.tsx';
import { call, streamPath } from './client.ts';
import { Dialog } from './dialog.tsx';
import type { Room } from './room.ts';
import { decodeStream, type Key, type Stream } from './shapes.ts';
import { moment } from './time.ts';

/** What becomes of the key before; `overlap_s` as the API has it. */
const OVERLAPS: ReadonlyArray<{ readonly label: string; readonly hint: string; readonly body: { overlap_s?: number } }> = [
  { label: 'Works on until the next new key', hint: 'Change the encoder whenever it suits.', body: {} },
  { label: 'Works for one more hour', hint: 'Time to change the encoder.', body: { overlap_s: 3_600 } },
  { label: 'Works for one more day', hint: 'For an encoder you do not reach at once.', body: { overlap_s: 86_400 } },
  { label: 'Stops at once', hint: 'The key is in wrong hands. An encoder that uses it is sent away.', body: { overlap_s: 0 } },
];

export function Keys({ room, stream }: { room: Room; stream: Stream }) {
  const revoking = useSignal<Key | null>(null);
  const now = room.nowMs.value;
  return (
    <section class="block" aria-labelledby="keys-title">
      <h2 id="keys-title" class="small-head">
        Keys
      </h2>
      {stream.keys.length === 0 && <p class="hint">No key opens this stream. Make one, and an encoder can come.</p>}
      <ul class="keys-list">
        {[...stream.keys].reverse().map((key) => (
          <li key={key.id}>
            <span>
              <code>wk_{key.id}…</code>
              <span class="hint">
                {key.createdMs !== null && `Made ${moment(key.createdMs, now)}. `}
                {key.expiresMs !== null && `Stops ${moment(key.expiresMs, now)}.`}
              </span>
            </span>
            <button type="button" class="button" onClick={() => (revoking.value = key)} aria-label={`Revoke key ${key.id}`}>
              Revoke
            </button>
          </li>
        ))}
      </ul>
      <NewKey room={room} stream={stream} label="New key…" />
      {revoking.value && <RevokeDialog room={room} shown={revoking.value} onClose={() => (revoking.value = null)} />}
    </section>
  );
}

/** The button, the question what becomes of the key before, and the new key, once. */
export function NewKey({ room, stream, label }: { room: Room; stream: Stream; label: string }) {
  const rotating = useSignal(false);
  const made = useSignal<Stream | null>(null);
  const show = (fresh: Stream): void => {
    rotating.value = false;
    made.value = fresh;
    void room.refresh();
  };
  return (
    <>
      <button type="button" class="button" onClick={() => (rotating.value = true)}>
        {label}
      </button>
      {rotating.value && <RotateDialog stream={stream} onClose={() => (rotating.value = false)} onMade={show} />}
      {made.value && <KeyDialog stream={made.value} onClose={() => (made.value = null)} />}
    </>
  );
}

function RotateDialog({ stream, onClose, onMade }: { stream: Stream; onClose: () => void; onMade: (stream: Stream) => void }) {
  const chosen = useSignal(0);
  const doing = useDoing();
  const submit = (event: Event): void => {
    event.preventDefault();
    void doing.run(async () => {
      const fresh = decodeStream(await call('POST', streamPath(stream.name, '/rotate-key'), OVERLAPS[chosen.value]?.body ?? {}));
      if (!fresh?.key) throw new Error('The server made a key and did not show it. Make another one.');
      onMade(fresh);
    });
  };
  return (
    <Dialog title={`New key for ${stream.name}`} onClose={onClose}>
      <form class="stack" onSubmit={submit}>
        <fieldset class="choices">
          <legend>The key before</legend>
          {OVERLAPS.map(({ label, hint }, i) => (
            <label key={label}>
              <input type="radio" name="overlap" checked={chosen.value === i} onChange={() => (chosen.value = i)} />
              <span>
                {label}
                <span class="hint">{hint}</span>
              </span>
            </label>
          ))}
        </fieldset>
        <Fault doing={doing} />
        <div class="buttons">
          <button type="submit" class="button primary" disabled={doing.busy.value}>
            Make new key
          </button>
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function RevokeDialog({ room, shown, onClose }: { room: Room; shown: Key; onClose: () => void }) {
  const doing = useDoing();
  const revoke = async (): Promise<void> => {
    const done = await doing.run(async () => {
      await call('DELETE', streamPath(room.name, `/keys/${encodeURIComponent(shown.id)}`));
      await room.refresh();
    });
    if (done) onClose();
  };
  return (
    <Dialog title={`Revoke key wk_${shown.id}…?`} onClose={onClose}>
      <p>It opens nothing from now on, and an encoder that came with it is sent away. A revoked key does not come back.</p>
      <Fault doing={doing} />
      <div class="buttons">
        <button type="button" class="button danger" onClick={() => void revoke()} disabled={doing.busy.value}>
          Revoke key
        </button>
        <button type="button" class="button" onClick={onClose}>
          Keep it
        </button>
      </div>
    </Dialog>
  );
}
