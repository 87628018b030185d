/** Copies of a stream for YouTube, Twitch and others: how each does, and adding, checking, stopping and removing them. */
import { useSignal } from '@preact/signals';
import { Fault, useDoing } from './act.tsx';
import { call, streamPath } from './client.ts';
import { Dialog } from './dialog.tsx';
import { counted, rate } from './figures.ts';
import { usePolled } from './polled.ts';
import { AddTargetDialog } from './target-form.tsx';
import { decodeChecked, decodeTargets, nextTry, targetSaid, type Checked, type Target } from './targets.ts';
import { lasted } from './time.ts';
import { Chip } from './tone.tsx';

const REFRESH_MS = 2_000;
/** Name service, connection, TLS and RTMP may each take its time. */
const CHECK_PATIENCE_MS = 30_000;

export function Targets({ name }: { name: string }) {
  const { data, trouble, again } = usePolled(async () => decodeTargets(await call('GET', streamPath(name, '/targets'))), REFRESH_MS);
  const adding = useSignal(false);
  const targets = data.value;
  return (
    <section class="card-panel targets" aria-labelledby="targets-title">
      <div class="targets-head">
        <h2 id="targets-title">Copies for other servers</h2>
        <button type="button" class="button" onClick={() => (adding.value = true)}>
          Add target…
        </button>
      </div>
      {targets?.length === 0 && (
        <p class="hint">None. Add YouTube, Twitch or any RTMP server, and it gets what your encoder sends whenever this stream is live.</p>
      )}
      {!targets && <p class="hint">{trouble.value ?? 'Looking…'}</p>}
      {targets && targets.length > 0 && (
        <ul class={trouble.value ? 'target-list stale' : 'target-list'}>
          {targets.map((target) => (
            <Row key={target.id} stream={name} target={target} again={again} />
          ))}
        </ul>
      )}
      {adding.value && <AddTargetDialog stream={name} onClose={() => (adding.value = false)} onAdded={again} />}
    </section>
  );
}

function Row({ stream, target, again }: { stream: string; target: Target; again: () => Promise<void> }) {
  const doing = useDoing();
  const checked = useSignal<Checked | null>(null);
  const removing = useSignal(false);
  const path = streamPath(stream, `/targets/${encodeURIComponent(target.id)}`);
  const isStopped = target.state === 'paused';
  const turn = (): void =>
    void doing.run(async () => {
      await call('POST', `${path}/${isStopped ? 'start' : 'stop'}`);
      await again();
    });
  const check = (): void =>
    void doing.run(async () => {
      checked.value = null;
      checked.value = decodeChecked(await call('POST', `${path}/check`, undefined, CHECK_PATIENCE_MS));
    });
  const busy = doing.busy.value;
  return (
    <li>
      <div class="target-name">
        <strong>{target.name}</strong>
        <span class="target-url">{target.url}</span>
        {target.rendition !== null && <span class="target-url">gets {target.rendition}</span>}
      </div>
      <Figures target={target} />
      {target.fault && !isStopped && <p class="cure target-fault">{target.fault}</p>}
      {target.state === 'live' && target.advice.map((advice) => <p key={advice} class="hint">{advice}</p>)}
      <div class="buttons">
        <button type="button" class="button" onClick={turn} disabled={busy} aria-label={`${isStopped ? 'Start' : 'Stop'} ${target.name}`}>
          {isStopped ? 'Start' : 'Stop'}
        </button>
        <button type="button" class="button" onClick={check} disabled={busy} aria-label={`Check ${target.name}`}>
          Check
        </button>
        <button type="button" class="button" onClick={() => (removing.value = true)} disabled={busy} aria-label={`Remove ${target.name}`}>
          Remove…
        </button>
        <span role="status" class={checked.value && !checked.value.ok ? 'hint fault' : 'hint'}>
          {busy ? 'Asking…' : checked.value?.said}
        </span>
      </div>
      <Fault doing={doing} />
      {removing.value && <RemoveDialog path={path} target={target} again={again} onClose={() => (removing.value = false)} />}
    </li>
  );
}

function Figures({ target }: { target: Target }) {
  const now = Date.now();
  const due = nextTry(target, now);
  const isLive = target.state === 'live';
  const tone = targetSaid(target).tone;
  return (
    <p class={`facts figures ${tone}`}>
      <Chip said={targetSaid(target)} label="State" />
      {target.sinceMs !== null && (isLive || due !== null) && <span>for {lasted(now - target.sinceMs)}</span>}
      {due !== null && <span>next try {due}</span>}
      {isLive && target.bitrateBps !== null && <span>{rate(target.bitrateBps / 1000)}</span>}
      {isLive && target.roundTripMs !== null && <span>{Math.round(target.roundTripMs)} ms away</span>}
      {target.droppedUnits > 0 && <span>{counted(target.droppedUnits, 'frame')} dropped</span>}
    </p>
  );
}

interface RemoveProps {
  readonly path: string;
  readonly target: Target;
  readonly again: () => Promise<void>;
  readonly onClose: () => void;
}

function RemoveDialog({ path, target, again, onClose }: RemoveProps) {
  const doing = useDoing();
  const remove = async (): Promise<void> => {
    const done = await doing.run(async () => {
      await call('DELETE', path);
      await again();
    });
    if (done) onClose();
  };
  return (
    <Dialog title={`Remove ${target.name}?`} onClose={onClose}>
      <p>{target.state === 'live' && 'Its copy ends at once. '}Its key is deleted; to send copies there again it has to be added anew.</p>
      <Fault doing={doing} />
      <div class="buttons">
        <button type="button" class="button danger" onClick={() => void remove()} disabled={doing.busy.value}>
          Remove target
        </button>
        <button type="button" class="button" onClick={onClose}>
          Keep it
        </button>
      </div>
    </Dialog>
  );
}
