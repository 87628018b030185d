/**
 * `/dock/NAME?token=…`: how the stream is doing, inside OBS (a custom browser dock). Narrow, dark, one thing to do.
 *
 * OBS opens the same address each time it starts, so the token stays in the address bar; it is sent in a header and is in no link,
 * title or storage.
 */
import './style.css';
import './dashboard/tone.css';
import './dashboard/outcome.css';
import './dock.css';
import { signal } from '@preact/signals';
import { render, type ComponentChildren } from 'preact';
import { measured, rate, whole } from './dashboard/figures.ts';
import { follow } from './dashboard/follow.ts';
import { Outcome } from './dashboard/outcome.tsx';
import { Pairs, type Facts } from './dashboard/pairs.tsx';
import { decodeRehearsal, toMend, type Rehearsal } from './dashboard/rehearsal.ts';
import { announced, headline, stateMeans, verdictMeans, verdictSaid, type Said } from './dashboard/said.ts';
import { decodeHealth, decodeStats, type Health, type Mendable, type Stats, type Verdict } from './dashboard/shapes.ts';
import { clock, running } from './dashboard/time.ts';
import { ToneMark } from './dashboard/tone.tsx';
import { nameInPath } from './name.ts';

const name = nameInPath(location.pathname);
const health = signal<Health | null>(null);
const stats = signal<Stats | null>(null);
const rehearsal = signal<Rehearsal | null>(null);
const seenMs = signal<number | null>(null);
const way = signal<'opening' | 'open' | 'lost' | 'refused' | 'gone'>('opening');
const said = signal('');

function watch(token: string): void {
  const path = `/streams/${encodeURIComponent(name)}/events`;
  const follower = {
    opened: () => void (way.value = 'open'),
    event: ({ name, data }: { name: string; data: string }) => {
      let body: unknown;
      try {
        body = JSON.parse(data);
      } catch {
        return;
      }
      way.value = 'open';
      seenMs.value = Date.now();
      if (name === 'health') hear(decodeHealth(body));
      else if (name === 'stats') stats.value = decodeStats(body);
      else if (name === 'rehearsal') rehearsal.value = decodeRehearsal(body);
    },
    lost: () => void (way.value = 'lost'),
    refused: ({ status }: Response) => {
      way.value = status === 404 ? 'gone' : status === 401 || status === 403 ? 'refused' : 'lost';
      // Asking on with a wrong token would only have the server shut out this whole machine.
      return way.value === 'refused';
    },
  };
  void follow(path, follower, new AbortController().signal, token);
}

function hear(next: Health): void {
  const was = health.value;
  health.value = next;
  if (was && (was.verdict !== next.verdict || was.issues[0]?.code !== next.issues[0]?.code)) said.value = announced(name, next);
}

function Dock({ hasToken }: { hasToken: boolean }) {
  const [title, words] = !hasToken ? NO_TOKEN : way.value === 'refused' ? REFUSED : way.value === 'gone' ? GONE : [null, null];
  return (
    <main class="dock">
      <h1 class="dock-name">{name}</h1>
      <p class="unseen" role="status">
        {said.value}
      </p>
      {title ? <Words title={title}>{words}</Words> : <Reading />}
    </main>
  );
}

const COPY_ANEW = 'Open this stream in the dashboard, copy the dock address, and paste it under Docks, Custom Browser Docks.';
const NO_TOKEN = ['The address is not whole', `Its end, with the token, is missing. ${COPY_ANEW}`] as const;
const REFUSED = ['The address is no longer good', `The server does not take its token. ${COPY_ANEW}`] as const;
const GONE = ['There is no such stream', `It was removed, or has another name now. ${COPY_ANEW}`] as const;

function Words({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <div class="dock-words" role="status">
      <h2>{title}</h2>
      <p>{children}</p>
    </div>
  );
}

function Reading() {
  const now = stats.value;
  const seen = health.value;
  if (!now && !seen) {
    return way.value === 'lost' ? (
      <Words title="The server does not answer">Trying again by itself.</Words>
    ) : (
      <Words title="Connecting">The first figures are on their way.</Words>
    );
  }
  const rehearsed = now?.state === 'off' && rehearsal.value?.state === 'running' ? rehearsal.value : null;
  return (
    <>
      {way.value === 'lost' && (
        <p class="dock-lost" role="status">
          <b>The server does not answer.</b> Trying again{seenMs.value !== null && `; this is from ${clock(seenMs.value)}`}.
        </p>
      )}
      <div class={way.value === 'lost' ? 'stale' : undefined}>
        {rehearsed ? <Rehearsing rehearsal={rehearsed} /> : <Showing stats={now} health={seen} />}
      </div>
    </>
  );
}

function Showing({ stats: now, health: seen }: { stats: Stats | null; health: Health | null }) {
  const state = now?.state ?? 'live';
  const verdict = seen?.verdict ?? now?.verdict ?? 'no_data';
  const issues = state === 'off' ? [] : (seen?.issues ?? []);
  return (
    <>
      <Headline said={headline(state, verdict)}>
        <State stats={now} />
      </Headline>
      {(!issues.length || state !== 'live') && <p class="dock-fine">{meaning(state, verdict)}</p>}
      <ToDo mend={issues} />
      {state !== 'off' && now && <Figures stats={now} />}
    </>
  );
}

function Rehearsing({ rehearsal }: { rehearsal: Rehearsal }) {
  const verdict = rehearsal.health?.verdict ?? 'no_data';
  const mend = toMend(rehearsal);
  return (
    <>
      <h2 class="dock-rehearsal">Rehearsal: nobody sees this</h2>
      <Headline said={verdictSaid(verdict)} />
      {!mend.length && <p class="dock-fine">{verdictMeans(verdict)}</p>}
      <ToDo mend={mend} />
      <Outcome rehearsal={rehearsal} />
      {rehearsal.score !== null && <p class="dock-fine">To go live, take ?test=1 off the stream key and start again.</p>}
    </>
  );
}

function Headline({ said: { word, tone }, children }: { said: Said; children?: ComponentChildren }) {
  return (
    <div class={`dock-verdict ${tone}`}>
      <ToneMark tone={tone} />
      <p>{word}</p>
      {children}
    </div>
  );
}

/** The one thing to do, and how many there are besides. */
function ToDo({ mend: [worst, ...others] }: { mend: readonly Mendable[] }) {
  if (!worst) return null;
  return (
    <div class={`dock-do ${worst.severity}`}>
      <p class="dock-cure">{worst.cure}</p>
      <p class="dock-problem">{worst.problem}</p>
      {others.length > 0 && <p class="dock-more">Then {others.length} more, in the dashboard.</p>}
    </div>
  );
}

function meaning(state: Stats['state'], verdict: Verdict): string {
  if (state === 'off') return 'Press Start Streaming when you are ready.';
  return stateMeans(state) ?? verdictMeans(verdict);
}

function State({ stats }: { stats: Stats | null }) {
  if (!stats || stats.state === 'off') return null;
  return (
    <p class="dock-state">
      {stats.state === 'live' && <span>Live</span>}
      {stats.uptimeS !== null && <span>{running(stats.uptimeS * 1000)}</span>}
    </p>
  );
}

function Figures({ stats: { bitrateKbps, fps, keyframeS, losses, viewers } }: { stats: Stats }) {
  const figures: Facts = [
    ['Bit rate', rate(bitrateKbps)],
    ['Frame rate', measured(fps, 'fps')],
    ['Keyframes every', measured(keyframeS, 's')],
    ['Lost, 10 min', whole(losses)],
    ...(viewers === null ? [] : [['Viewers', whole(viewers)] as const]),
  ];
  return (
    <Pairs facts={figures} class="dock-figures" />
  );
}

const token = new URLSearchParams(location.search).get('token') ?? '';
document.title = `${name} · Weir dock`;
if (token) watch(token);
const root = document.getElementById('app');
if (root) render(<Dock hasToken={token !== ''} />, root);
