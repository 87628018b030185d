/** `/dashboard/recordings/ID`: watch it, say what it is, cut clips out of it, throw it away. */
import { useSignal, type Signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { Links } from '../recordings/links.tsx';
import { Picture } from '../recordings/picture.tsx';
import { decodeRecording, lengthOf, pagePath, titleOf, type Recording } from '../recordings/shape.ts';
import { stamp } from '../recordings/time.ts';
import type { VodViewer } from '../vod/viewer.ts';
import { Bin } from './bin.tsx';
import { call, recordingPath, Refusal } from './client.ts';
import { ClipMaker } from './clip-maker.tsx';
import { DetailsForm } from './details-form.tsx';
import { bytes } from './figures.ts';
import { LazyPlayer } from './lazy-player.tsx';
import { PrivateLink } from './private-link.tsx';
import { usePolled } from './polled.ts';
import { pathOf } from './route.ts';
import { statusSaid, visibilityWord } from './said-recording.ts';
import { Skeleton, Trouble, useTitle } from './shell.tsx';
import { moment } from './time.ts';
import { Chip } from './tone.tsx';

const REFRESH_MS = 5_000;

export function RecordingPage({ id }: { id: string }) {
  const { data, trouble, atMs } = usePolled(() => ask(id), REFRESH_MS);
  const viewer = useSignal<VodViewer | null>(null);
  const isGone = data.value === 'gone';
  const now = data.value === 'gone' ? null : data.value;
  const title = now ? titleOf(now) : isGone ? 'No such recording' : 'Recording';
  const take = (body: unknown): void => void (data.value = decodeRecording(body) ?? data.value);
  useTitle(title);
  if (isGone) return <Gone />;
  return (
    <>
      <p class="trail">
        <a href="/dashboard/recordings">Recordings</a>
      </p>
      <div class={trouble.value ? 'stale' : undefined}>
        <div class="page-head">
          <div class="head-name">
            <h1 tabIndex={-1}>{title}</h1>
            {now && <Facts recording={now} />}
          </div>
          {now && <Bin recording={now} take={take} />}
        </div>
      </div>
      <Trouble trouble={trouble.value} atMs={atMs.value} />
      {!now && trouble.value === null && <Skeleton lines={5} label="The recording is being loaded" />}
      {now && (
        <div class={trouble.value ? 'recording-page stale' : 'recording-page'}>
          <div>
            {now.status === 'failed' && <p class="notice">{now.durationMs > 0 && 'It may not be whole. '}{now.reason}</p>}
            <Player recording={now} viewer={viewer} />
            {now.trashedMs === null && <ClipMaker recording={now} viewer={viewer.value} />}
          </div>
          <div>
            <Block id="details-title" title="Details">
              <DetailsForm recording={now} take={take} />
            </Block>
            {now.trashedMs === null && (
              <Block id="links-title" title="Share and embed">
                {now.visibility === 'private' ? <PrivateLink tickets={recordingPath(id, '/tickets')} /> : <Links recording={now} />}
              </Block>
            )}
          </div>
        </div>
      )}
    </>
  );
}

function Block({ id, title, children }: { id: string; title: string; children: ComponentChildren }) {
  return (
    <section class="block" aria-labelledby={id}>
      <h2 id={id} class="small-head">
        {title}
      </h2>
      {children}
    </section>
  );
}

function Facts({ recording }: { recording: Recording }) {
  const { id, stream, status, percent, visibility, startedMs, sizeBytes, renditions, clipOf, trashedMs } = recording;
  const now = Date.now();
  return (
    <p class="facts">
      <Chip said={statusSaid(status, percent)} label="Status" />
      {trashedMs !== null && <span class="chip warning plain-chip">In the trash since {moment(trashedMs, now)}</span>}
      <span>{visibilityWord(visibility)}</span>
      {stream && <a href={pathOf({ at: 'stream', name: stream })}>{stream}</a>}
      {startedMs !== null && <time dateTime={new Date(startedMs).toISOString()}>{moment(startedMs, now)}</time>}
      <span>{stamp(lengthOf(recording, now))}</span>
      {sizeBytes !== null && <span>{bytes(sizeBytes)}</span>}
      {renditions.length > 0 && <span>{renditions.join(', ')}</span>}
      {clipOf && <a href={pathOf({ at: 'recording', id: clipOf })}>Cut from this recording</a>}
      {trashedMs === null && visibility !== 'private' && <a href={pagePath(id)}>Public page</a>}
    </p>
  );
}

function Player({ recording, viewer }: { recording: Recording; viewer: Signal<VodViewer | null> }) {
  if (recording.trashedMs === null) return <LazyPlayer recording={recording} onViewer={(made) => (viewer.value = made)} />;
  return (
    <div class="in-trash">
      <Picture recording={recording} />
      <p>It is in the trash: nobody can watch it. Restore it to play it.</p>
    </div>
  );
}

function Gone() {
  return (
    <section class="nothing">
      <h1 tabIndex={-1}>There is no such recording</h1>
      <p>
        It was deleted for good, or never was. What there is stands in the <a href="/dashboard/recordings">list of recordings</a>.
      </p>
    </section>
  );
}

async function ask(id: string): Promise<Recording | 'gone'> {
  try {
    return decodeRecording(await call('GET', recordingPath(id))) ?? 'gone';
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return 'gone';
    throw error;
  }
}
