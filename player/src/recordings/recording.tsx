/** `/recordings/ID`: the player, what it plays, and the addresses to take elsewhere. */
import '../style.css';
import '../dashboard/tone.css';
import '../vod/vod.css';
import './recordings.css';
import { useSignal } from '@preact/signals';
import { render } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import { Copy } from '../copy.tsx';
import { Frame } from '../frame.tsx';
import { Chapters } from '../vod/chapters.tsx';
import { VOD_KEYS } from '../vod/keys.ts';
import { VodScreen } from '../vod/screen.tsx';
import type { VodViewer } from '../vod/viewer.ts';
import { DownloadLinks } from './download-links.tsx';
import { Links } from './links.tsx';
import { writeWanted, ANY } from './query.ts';
import { known, useRecording } from './seen.ts';
import { idInPath, isChanging, lengthOf, titleOf, type Recording } from './shape.ts';
import { Stage } from './stage.tsx';
import { isoLength, onDayAt, stamp } from './time.ts';
import { noteWhere, openRecording } from './vod.ts';

/** So long the button says that it worked. */
const SAID_MS = 2_400;

function Page({ id }: { id: string }) {
  const seen = useRecording(id).value;
  const recording = known(seen);
  const title = recording ? titleOf(recording) : seen.is === 'gone' ? 'No such recording' : 'Recording';
  useEffect(() => {
    document.title = `${title} · Weir`;
  }, [title]);
  if (recording) return <Watch recording={recording} />;
  return (
    <Frame>
      {seen.is === 'gone' ? (
        <section class="nothing">
          <h1>There is no such recording</h1>
          <p>
            It was removed, or is not public. What can be watched is in the <a href="/recordings">library</a>.
          </p>
        </section>
      ) : (
        <div class="watch">
          <h1 class="unseen">Recording</h1>
          <Stage seen={seen} />
        </div>
      )}
    </Frame>
  );
}

function Watch({ recording }: { recording: Recording }) {
  const { id, status, description, tags, reason, thumb } = recording;
  const viewer = useMemo(() => openRecording(recording), [id]);
  const cameBackTo = useSignal(viewer.time.peek());
  useEffect(() => noteWhere(viewer, id), [viewer]);
  const isAsked = new URLSearchParams(location.search).has('t');
  return (
    <Frame>
      <div class="watch">
        <VodScreen viewer={viewer} poster={thumb} growing={status === 'recording'} changing={isChanging(recording)} chapters={recording.chapters} />
        <div class="about">
          <div class="about-name">
            <h1>{titleOf(recording)}</h1>
            <Facts recording={recording} viewer={viewer} />
          </div>
          <CopyHere viewer={viewer} />
        </div>
        {cameBackTo.value > 0 && !isAsked && (
          <p class="came-back">
            You are back where you were, at {stamp(cameBackTo.value)}.{' '}
            <button
              type="button" class="text-button" onClick={() => {
                cameBackTo.value = 0;
                viewer.goTo(0);
              }}
            >
              From the start
            </button>
          </p>
        )}
        <Chapters chapters={recording.chapters} viewer={viewer} />
        {status === 'failed' && <p class="notice spaced">It may not be whole. {reason}</p>}
        {description && <p class="description">{description}</p>}
        {tags.length > 0 && (
          <ul class="tags" aria-label="Tags">
            {tags.map((tag) => (
              <li key={tag}>
                <a class="tag" href={`/recordings${writeWanted({ ...ANY, tag })}`}>
                  {tag}
                </a>
              </li>
            ))}
          </ul>
        )}
        <Elsewhere recording={recording} />
      </div>
    </Frame>
  );
}

function Facts({ recording, viewer }: { recording: Recording; viewer: VodViewer }) {
  const { stream, status, startedMs } = recording;
  // The playlist knows the length better than what was noted when the page was opened.
  const length_s = viewer.length.value || lengthOf(recording, Date.now());
  return (
    <p class="facts">
      {status === 'recording' && (
        <a class="badge" href={`/watch/${encodeURIComponent(stream)}`}>
          Live now
        </a>
      )}
      {status === 'recording' && <span>This is its recording so far</span>}
      {status === 'processing' && <span>Just ended</span>}
      {startedMs !== null && <time dateTime={new Date(startedMs).toISOString()}>{onDayAt(startedMs)}</time>}
      <time dateTime={isoLength(length_s)}>{stamp(length_s)}</time>
      {stream && <a href={`/recordings${writeWanted({ ...ANY, stream })}`}>{stream}</a>}
    </p>
  );
}

function CopyHere({ viewer }: { viewer: VodViewer }) {
  const copied = useSignal<string | null>(null);
  /** Shown where the browser keeps the clipboard to itself. */
  const shown = useSignal<{ readonly at: string; readonly text: string } | null>(null);
  const copy = async (): Promise<void> => {
    const at_s = Math.floor(viewer.time.value);
    // The page's own address, as a private one's holds a ticket.
    const here = new URL(location.href);
    here.searchParams.set('t', String(at_s));
    const text = here.href;
    try {
      await navigator.clipboard.writeText(text);
      copied.value = stamp(at_s);
      setTimeout(() => (copied.value = null), SAID_MS);
    } catch {
      shown.value = { at: stamp(at_s), text };
    }
  };
  return (
    <div class="copy-here">
      <button type="button" class="more-button" onClick={() => void copy()}>
        Copy link at this time
      </button>
      <p role="status">{copied.value !== null && `Copied, at ${copied.value}`}</p>
      {shown.value && <Copy label={`This page at ${shown.value.at}`} text={shown.value.text} />}
    </div>
  );
}

function Elsewhere({ recording }: { recording: Recording }) {
  const { id, status } = recording;
  return (
    <div class="elsewhere">
      <details>
        <summary>Share and embed</summary>
        <Links recording={recording} />
      </details>
      {status !== 'recording' && <DownloadLinks id={id} />}
      <details class="keyboard">
        <summary>Keyboard</summary>
        <dl class="keys">
          {VOD_KEYS.map(([keys, does]) => (
            <div key={keys}>
              <dt>{keys}</dt>
              <dd>{does}</dd>
            </div>
          ))}
        </dl>
      </details>
    </div>
  );
}

const root = document.getElementById('app');
if (root) render(<Page id={idInPath(location.pathname)} />, root);
