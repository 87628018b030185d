/** `/dashboard`: every stream, trouble first. */
import { useSignal } from '@preact/signals';
import { Thumb } from '../thumb.tsx';
import { AddDialog, AddForm, KeyDialog } from './add.tsx';
import { call } from './client.ts';
import { counted } from './figures.ts';
import { usePolled } from './polled.ts';
import { pathOf } from './route.ts';
import { visibilityWord } from './said-recording.ts';
import { byUrgency, headline, stoppedUntil } from './said.ts';
import { decodeStreams, type Stream } from './shapes.ts';
import { Skeleton, Trouble, useTitle } from './shell.tsx';
import { clock, lasted } from './time.ts';
import { Chip } from './tone.tsx';

const REFRESH_MS = 3_000;

export function List() {
  const { data, trouble, atMs, again } = usePolled(async () => decodeStreams(await call('GET', '/streams')), REFRESH_MS);
  const adding = useSignal(false);
  const first = useSignal<Stream | null>(null);
  const streams = data.value && [...data.value].sort(byUrgency);
  const on = streams?.filter(({ live }) => live !== null) ?? [];
  const off = streams?.filter(({ live }) => live === null) ?? [];
  const troubled = on.filter(({ live }) => live?.verdict === 'bad' || live?.state !== 'live').length;
  useTitle(troubled ? `${counted(troubled, 'stream')} in trouble` : 'Streams');
  const close = (): void => {
    adding.value = false;
    first.value = null;
    void again();
  };
  return (
    <>
      <div class="page-head">
        <div>
          <h1 tabIndex={-1}>Streams</h1>
          {streams && streams.length > 0 && (
            <p class="facts">
              <span>{on.length} live</span>
              {troubled > 0 && <span class="bad-text">{troubled} in trouble</span>}
              <span>{off.length} off</span>
            </p>
          )}
        </div>
        {streams && streams.length > 0 && (
          <button type="button" class="button primary" onClick={() => (adding.value = true)}>
            Add stream
          </button>
        )}
      </div>
      <Trouble trouble={trouble.value} atMs={atMs.value} />
      <div class={trouble.value && streams ? 'stale' : undefined}>
        {!streams && <Skeleton lines={4} label="Streams are being loaded" />}
        {streams?.length === 0 && (
          <section class="card-panel first" aria-labelledby="first-title">
            <h2 id="first-title">Add your first stream</h2>
            <p class="hint">It gets an address for viewers and a key for OBS; going live takes a minute.</p>
            <AddForm onAdded={(stream) => (first.value = stream)} />
          </section>
        )}
        {on.length > 0 && <Rows streams={on} label="Live" />}
        {off.length > 0 && <Rows streams={off} label="Off" />}
      </div>
      {adding.value && <AddDialog onClose={close} />}
      {first.value && <KeyDialog stream={first.value} onClose={close} isNew />}
    </>
  );
}

function Rows({ streams, label }: { streams: readonly Stream[]; label: string }) {
  return (
    <section class="rows-block" aria-label={label}>
      <h2 class="small-head">{label}</h2>
      <ul class="rows">
        {streams.map((stream) => (
          <Row key={stream.name} stream={stream} />
        ))}
      </ul>
    </section>
  );
}

function Row({ stream }: { stream: Stream }) {
  const { live } = stream;
  const now = live?.nowMs ?? Date.now();
  const until = stoppedUntil(stream, now);
  return (
    <li class={live ? 'row' : 'row off'}>
      {live && (
        <span class="row-picture" aria-hidden="true">
          <Thumb path={live.thumb} now={now} />
        </span>
      )}
      <span class="row-name">
        <a href={pathOf({ at: 'stream', name: stream.name })}>{stream.title || stream.name}</a>
        {stream.title && stream.title !== stream.name && <span class="hint">{stream.name}</span>}
        {stream.visibility !== 'public' && <span class="hint">{visibilityWord(stream.visibility)}</span>}
      </span>
      <span class="row-state">
        {live && <Chip said={headline(live.state, live.verdict)} label={live.state === 'live' ? 'Health' : 'State'} />}
        {until !== null && <span class="chip warning plain-chip">Stopped by an operator until {clock(until)}</span>}
        {!live && until === null && <span class="hint">Off</span>}
      </span>
      {live && <span class="row-fact">{live.sinceMs !== null && `Live for ${lasted(now - live.sinceMs)}`}</span>}
      {live && <span class="row-fact last">{live.viewers !== null && counted(live.viewers, 'viewer')}</span>}
    </li>
  );
}
