/** `/`: what is live now, or how to go live when nothing is. */
import './style.css';
import { signal } from '@preact/signals';
import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import { fetchLive, type Doors, type LiveList, type LiveStream } from './api.ts';
import { goingOn } from './clock.ts';
import { Copy } from './copy.tsx';
import { Frame } from './frame.tsx';
import { Thumb } from './thumb.tsx';

const REFRESH_MS = 4_000;

type Seen = { is: 'loading' } | { is: 'list'; list: LiveList; at: number } | { is: 'silent'; last: LiveList | null };
const seen = signal<Seen>({ is: 'loading' });

async function refresh(): Promise<void> {
  try {
    seen.value = { is: 'list', list: await fetchLive(), at: Date.now() };
  } catch {
    const was = seen.value;
    seen.value = { is: 'silent', last: was.is === 'list' ? was.list : was.is === 'silent' ? was.last : null };
  }
}

function Home() {
  useEffect(() => {
    void refresh();
    const visible = (): void => {
      if (document.visibilityState === 'visible') void refresh();
    };
    const timer = setInterval(visible, REFRESH_MS);
    document.addEventListener('visibilitychange', visible);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', visible);
    };
  }, []);

  const now = seen.value;
  const list = now.is === 'list' ? now.list : now.is === 'silent' ? now.last : null;
  return (
    <Frame at="home">
      {now.is === 'silent' && (
        <p class="notice" role="status">
          The server does not answer. Trying again by itself.
        </p>
      )}
      {list && (list.streams.length ? <Streams list={list} /> : <Nothing doors={list.doors} />)}
    </Frame>
  );
}

function Streams({ list }: { list: LiveList }) {
  const now = list.nowMs ?? Date.now();
  return (
    <>
      <h1 class="lead">Live now</h1>
      <ul class="streams">
        {list.streams.map((stream) => (
          <li key={stream.name}>
            <Card stream={stream} now={now} />
          </li>
        ))}
      </ul>
    </>
  );
}

function Card({ stream, now }: { stream: LiveStream; now: number }) {
  return (
    <a class="card" href={`/watch/${stream.name}`}>
      <span class="picture">
        <Thumb path={stream.thumb} now={now} />
        {stream.away || stream.slate ? <span class="badge off">Away</span> : <span class="badge">Live</span>}
        {stream.height > 0 && <span class="size">{Math.min(stream.width || stream.height, stream.height)}p</span>}
      </span>
      <span class="card-title">{stream.title}</span>
      <span class="card-facts">
        {stream.title !== stream.name && <span>{stream.name}</span>}
        {stream.sinceMs !== null && <span>{goingOn(now - stream.sinceMs)}</span>}
      </span>
    </a>
  );
}

function Nothing({ doors }: { doors: Doors }) {
  const host = location.hostname;
  return (
    <section class="nothing">
      <h1>Nothing is live</h1>
      <p>Streams appear here by themselves, a few seconds after they begin.</p>
      <div class="panel">
        <h2>Go live</h2>
        <ol>
          <li>
            In OBS open <b>Settings</b>, then <b>Stream</b>, and choose the service <b>Custom</b>.
          </li>
          <li>
            Paste the server.
            <Copy label="Server" text={doors.rtmp ?? `rtmp://${host}/live`} />
            {doors.rtmps && <Copy label="Server, encrypted" text={doors.rtmps} />}
          </li>
          <li>
            Paste the stream key. The server printed one when it first started; <code>weir stream add NAME</code> makes another.
          </li>
          <li>
            Press <b>Start Streaming</b>.
          </li>
        </ol>
        <p class="aside">
          The <a href="/dashboard">dashboard</a> shows every stream and makes keys. Sign in with the API token, which lies in the file{' '}
          <code>api-token</code> in the data folder.
        </p>
      </div>
    </section>
  );
}

const root = document.getElementById('app');
if (root) render(<Home />, root);
