/** `/dashboard/streams/NAME`: how it is doing, what comes in, and everything that can be set. */
import { useEffect, useMemo } from 'preact/hooks';
import { Charts } from './charts.tsx';
import { streamPath } from './client.ts';
import { DockAddress } from './dock-address.tsx';
import { Experience } from './experience.tsx';
import { FactStrip, HealthPanel } from './health.tsx';
import { Keys, NewKey } from './keys.tsx';
import { LazyPreview } from './lazy-preview.tsx';
import { Log } from './log.tsx';
import { ObsSteps } from './obs.tsx';
import { PrivateLink } from './private-link.tsx';
import { RehearsalPanel } from './rehearsal-card.tsx';
import { Remove } from './remove.tsx';
import { RecordPanel } from './record.tsx';
import { Renditions } from './renditions.tsx';
import { Room } from './room.ts';
import { visibilityWord } from './said-recording.ts';
import { headline, stateSaid, stoppedUntil } from './said.ts';
import { SettingsForm } from './settings.tsx';
import { Skeleton, Trouble, useTitle } from './shell.tsx';
import { SlateImage } from './slate.tsx';
import type { Stream } from './shapes.ts';
import { StopAllow } from './stop.tsx';
import { Targets } from './targets.tsx';
import { clock } from './time.ts';
import { Chip } from './tone.tsx';

export function StreamPage({ name }: { name: string }) {
  const room = useMemo(() => new Room(name), [name]);
  useEffect(() => room.begin(), [room]);
  const stream = room.stream.value;
  const live = stream?.live ?? null;
  const word = live && headline(live.state, room.health.value?.verdict ?? live.verdict).word.toLowerCase();
  useTitle(word ? `${name}: ${word}` : name);
  if (room.gone.value) return <Gone name={name} />;
  return (
    <>
      <p class="trail">
        <a href="/dashboard">Streams</a>
      </p>
      <div class={room.trouble.value ? 'stale' : undefined}>
        <Head room={room} stream={stream} />
      </div>
      <Trouble trouble={room.trouble.value} atMs={stream ? room.atMs.value : null} />
      {!stream && <Skeleton lines={6} label="The stream is being loaded" />}
      {stream && (
        <div class={room.trouble.value ? 'stream-page stale' : 'stream-page'}>
          <RecordPanel room={room} />
          <Watchtower room={room} stream={stream} />
          <Targets name={name} />
          <div class="columns set-up">
            <section aria-labelledby="set-title">
              <h2 id="set-title" class="small-head">
                Settings
              </h2>
              <SettingsForm room={room} stream={stream} />
              <SlateImage room={room} stream={stream} />
            </section>
            <div>
              {stream.visibility === 'private' && (
                <section class="block" aria-labelledby="link-title">
                  <h2 id="link-title" class="small-head">
                    Private link
                  </h2>
                  <PrivateLink tickets={streamPath(name, '/tickets')} />
                </section>
              )}
              <Keys room={room} stream={stream} />
              <DockAddress name={name} />
              <Remove stream={stream} />
            </div>
          </div>
        </div>
      )}
    </>
  );
}

function Head({ room, stream }: { room: Room; stream: Stream | null }) {
  const live = stream?.live ?? null;
  const until = stream && stoppedUntil(stream, room.nowMs.value);
  return (
    <div class="page-head">
      <div class="head-name">
        <h1 tabIndex={-1}>{stream?.title || room.name}</h1>
        <p class="facts">
          {stream && <Chip said={stateSaid(live?.state ?? 'off')} label="State" />}
          {until != null && <span class="chip warning plain-chip">Stopped by an operator until {clock(until)}</span>}
          {stream?.title && stream.title !== room.name && <span>{room.name}</span>}
          {stream && stream.visibility !== 'public' && <span>{visibilityWord(stream.visibility)}</span>}
          {live && stream?.visibility !== 'private' && <a href={`/watch/${encodeURIComponent(room.name)}`}>Watch page</a>}
        </p>
      </div>
      {stream && <StopAllow room={room} stream={stream} />}
    </div>
  );
}

/** The upper half: what an operator looks at while the show runs; before it, how to begin. */
function Watchtower({ room, stream }: { room: Room; stream: Stream }) {
  const { live } = stream;
  const isRehearsed = (room.rehearsal.value?.state ?? 'none') !== 'none';
  if (!live) {
    return (
      <>
        {isRehearsed && <RehearsalPanel room={room} />}
        <section class="card-panel" aria-labelledby="begin-title">
          <h2 id="begin-title">Go live</h2>
          <ObsSteps makeKey={<NewKey room={room} stream={stream} label="Make a new key…" />} />
        </section>
        {!isRehearsed && <RehearsalPanel room={room} />}
        <Charts room={room} />
        {room.log.value && room.log.value.length > 0 && <Log room={room} />}
      </>
    );
  }
  return (
    <>
      <div class="lookout">
        <div>
          <HealthPanel room={room} />
          <FactStrip room={room} />
          <Charts room={room} />
        </div>
        <div>
          <div class="preview">
            <LazyPreview name={room.name} ticket={live.ticket} />
          </div>
          <Renditions live={live} />
          <Experience name={room.name} />
          <Log room={room} />
        </div>
      </div>
      <RehearsalPanel room={room} />
    </>
  );
}

function Gone({ name }: { name: string }) {
  return (
    <section class="nothing">
      <h1 tabIndex={-1}>There is no stream {name}</h1>
      <p>
        It was removed, or never was. What there is stands in the <a href="/dashboard">list of streams</a>.
      </p>
    </section>
  );
}
