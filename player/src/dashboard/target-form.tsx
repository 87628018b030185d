/** Adding a target: a service or an address, and its key, which is not shown again. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { Fault, useDoing } from './act.tsx';
import { call, streamPath } from './client.ts';
import { Dialog } from './dialog.tsx';
import { decodeServices, type Service } from './targets.ts';

/** What is usual in a ladder; the API and the command line take any name. */
const RENDITIONS = ['1080p', '720p', '480p', '360p'];

interface Props {
  readonly stream: string;
  readonly onClose: () => void;
  readonly onAdded: () => Promise<void>;
}

export function AddTargetDialog({ stream, onClose, onAdded }: Props) {
  const services = useSignal<readonly Service[]>([]);
  const chosen = useSignal('youtube');
  const silence = useSignal<boolean | null>(null);
  const url = useSignal('');
  const ingest = useSignal('');
  const rendition = useSignal('source');
  const key = useSignal('');
  const asking = useDoing();
  const doing = useDoing();
  useEffect(() => {
    void asking.run(async () => void (services.value = decodeServices(await call('GET', '/services'))));
  }, []);
  const service = services.value.find(({ id }) => id === chosen.value) ?? services.value[0] ?? null;
  // A service that does not go live without sound is helped unless somebody says no.
  const isSilent = silence.value ?? service?.needsAudio ?? false;
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!service) return;
    const done = await doing.run(async () => {
      await call('POST', streamPath(stream, '/targets'), {
        service: service.id,
        url: service.hasUrl ? undefined : url.value.trim(),
        ingest: service.hasIngests && ingest.value.trim() ? ingest.value.trim() : undefined,
        key: key.value,
        rendition: rendition.value,
        silence: isSilent,
      });
      key.value = '';
      await onAdded();
    });
    if (done) onClose();
  };
  return (
    <Dialog title="Add target" onClose={onClose}>
      <form class="stack" onSubmit={(event) => void submit(event)}>
        <label class="field">
          <span class="field-name">Service</span>
          <select
            value={service?.id} onChange={(event) => {
              chosen.value = event.currentTarget.value;
              silence.value = null;
            }}
          >
            {services.value.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </label>
        {service && !service.hasUrl && (
          <label class="field">
            <span class="field-name">Address</span>
            <input
              value={url.value} required autocapitalize="off" autocomplete="off" spellcheck={false} maxLength={400}
              placeholder="rtmps://live.example.org/app" aria-describedby="target-url-hint"
              onInput={(event) => (url.value = event.currentTarget.value)}
            />
            <span id="target-url-hint" class="hint">
              Without the key.
            </span>
          </label>
        )}
        {service?.hasIngests && (
          <label class="field">
            <span class="field-name">Its server, if you like</span>
            <input
              value={ingest.value} autocapitalize="off" autocomplete="off" spellcheck={false} maxLength={40} placeholder="the nearest"
              onInput={(event) => (ingest.value = event.currentTarget.value)}
            />
          </label>
        )}
        <label class="field">
          <span class="field-name">Stream key</span>
          <input
            type="password" value={key.value} required autocomplete="off" spellcheck={false} maxLength={512}
            aria-describedby="target-key-hint" onInput={(event) => (key.value = event.currentTarget.value)}
          />
          <span id="target-key-hint" class="hint">
            The service's own. It is kept sealed, and never shown again.
          </span>
        </label>
        <label class="field">
          <span class="field-name">What it gets</span>
          <select value={rendition.value} aria-describedby="target-rendition-hint" onChange={(event) => (rendition.value = event.currentTarget.value)}>
            <option value="source">What your encoder sends</option>
            {RENDITIONS.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
          <span id="target-rendition-hint" class="hint">
            {rendition.value === 'source'
              ? 'Picture and sound as they come, nothing is lost.'
              : `Encoded here, with the slate while you are away. A stream without ${rendition.value} sends the next lower one.`}
          </span>
        </label>
        <label class="target-check">
          <input type="checkbox" checked={isSilent} onChange={(event) => (silence.value = event.currentTarget.checked)} />
          <span>Add silence when the stream has no sound</span>
        </label>
        <Fault doing={asking} />
        <Fault doing={doing} />
        <div class="buttons">
          <button type="submit" class="button primary" disabled={doing.busy.value || !service}>
            {doing.busy.value ? 'Adding…' : 'Add target'}
          </button>
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}
