/** `/watch/NAME`, `/p/TICKET/watch/NAME`: the player, what is playing, and the addresses to take elsewhere. */
import './style.css';
import { useSignal } from '@preact/signals';
import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import { tellOf } from './beacon.ts';
import { goingOn } from './clock.ts';
import { Copy } from './copy.tsx';
import { Frame } from './frame.tsx';
import { KEYS } from './keys.ts';
import { baseOf } from './name.ts';
import type { Phase } from './playback.ts';
import type { Viewer } from './viewer.ts';
import { Player, Watching } from './watching.tsx';

function Watch({ watching }: { watching: Watching }) {
  const viewer = watching.viewer.value;
  const isLive = watching.live !== null;
  const title = viewer.stream.value?.title ?? viewer.name;
  const phase = viewer.playback.value.phase.kind;
  const slate = viewer.stream.value?.slate ?? false;
  useEffect(() => {
    document.title = `${title} · Weir`;
  }, [title]);
  return (
    <Frame>
      <div class="watch">
        <Player watching={watching} />
        <div class="about">
          <div>
            <h1>{title}</h1>
            <p class="facts">
              {isLive ? <Badge phase={phase === 'playing' && slate ? 'away' : phase} /> : <span class="badge off">Rewound</span>}
              {isLive && phase === 'playing' && (slate ? <span>The streamer is reconnecting</span> : <Since viewer={viewer} />)}
              {title !== viewer.name && <span>{viewer.name}</span>}
            </p>
          </div>
        </div>
        <Elsewhere name={viewer.name} ticket={watching.ticket} />
      </div>
    </Frame>
  );
}

function Badge({ phase }: { phase: Phase['kind'] }) {
  if (phase === 'playing') return <span class="badge">Live</span>;
  const said = { opening: 'Connecting', reconnecting: 'Connecting', waiting: 'Off air', refused: 'No entry', away: 'Away', ended: 'Ended', unsupported: 'Cannot play' };
  return <span class="badge off">{said[phase]}</span>;
}

function Since({ viewer }: { viewer: Viewer }) {
  const now = useSignal(Date.now());
  useEffect(() => {
    const timer = setInterval(() => (now.value = Date.now()), 15_000);
    return () => clearInterval(timer);
  }, []);
  const since = viewer.stream.value?.sinceMs;
  return since == null ? null : <span>{goingOn(now.value - since)}</span>;
}

function Elsewhere({ name, ticket }: { name: string; ticket: string | null }) {
  const here = location.origin + baseOf(ticket);
  return (
    <div class="elsewhere">
      <details>
        <summary>Share and embed</summary>
        {ticket !== null && <p class="hint">The stream is private. Whoever gets one of these can watch until this link expires.</p>}
        <Copy label="This page" text={`${here}/watch/${name}`} />
        <Copy label="HLS, for any player" text={`${here}/live/${name}/index.m3u8`} />
        <Copy
          label="Embed"
          text={`<iframe src="${here}/embed/${name}" width="640" height="360" allow="autoplay; fullscreen; picture-in-picture" style="border:0"></iframe>`}
        />
      </details>
      <details class="keyboard">
        <summary>Keyboard</summary>
        <dl class="keys">
          {KEYS.map(([keys, does]) => (
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
if (root) {
  const watching = new Watching(location.pathname);
  render(<Watch watching={watching} />, root);
  tellOf(watching, () => watching.live);
}
