/** Verdicts and states in words. One place, so that list, stream page and dock say the same. */
import type { Visibility } from '../recordings/shape.ts';
import type { Health, LiveState, Stream, Verdict } from './shapes.ts';

/** How something looks: a colour and a mark, always beside a word. */
export type Tone = 'good' | 'warning' | 'bad' | 'idle';

export interface Said {
  readonly word: string;
  readonly tone: Tone;
}

export function verdictSaid(verdict: Verdict): Said {
  switch (verdict) {
    case 'good':
      return { word: 'Good', tone: 'good' };
    case 'ok':
      return { word: 'Fair', tone: 'warning' };
    case 'bad':
      return { word: 'Bad', tone: 'bad' };
    case 'no_data':
      return { word: 'No data', tone: 'idle' };
  }
}

/** One sentence under the verdict when there is no issue to name. */
export function verdictMeans(verdict: Verdict): string {
  switch (verdict) {
    case 'good':
      return 'Nothing needs to be changed.';
    case 'ok':
      return 'It works; a setting could be better.';
    case 'bad':
      return 'Viewers notice, or are about to.';
    case 'no_data':
      return 'The first measurements take a few seconds.';
  }
}

export function stateSaid(state: LiveState | 'off'): Said {
  switch (state) {
    case 'live':
      return { word: 'Live', tone: 'good' };
    case 'stalled':
      return { word: 'Stalled', tone: 'bad' };
    case 'reconnecting':
      return { word: 'Reconnecting', tone: 'warning' };
    case 'off':
      return { word: 'Off', tone: 'idle' };
  }
}

/** The one word for it all. A stream of which nothing comes is neither good nor bad: that nothing comes is the news. */
export function headline(state: LiveState | 'off', verdict: Verdict): Said {
  return state === 'live' ? verdictSaid(verdict) : stateSaid(state);
}

/** What a state means; null for one that needs no word. */
export function stateMeans(state: LiveState): string | null {
  switch (state) {
    case 'live':
      return null;
    case 'stalled':
      return 'The encoder is connected and sends nothing.';
    case 'reconnecting':
      return 'The connection to the encoder was lost. The stream goes on when it is back.';
  }
}

/** Who may watch a stream. */
export function watchMeans(visibility: Visibility): string {
  switch (visibility) {
    case 'public':
      return 'Everybody may watch, and it is on the home page while it is live.';
    case 'unlisted':
      return 'Whoever has its address may watch.';
    case 'private':
      return 'Whoever has a link that you make here may watch. Players over RTMP are turned away.';
  }
}

/** An operator stopped it, and the time is not over. */
export function stoppedUntil(stream: Stream, nowMs: number): number | null {
  return stream.stoppedUntilMs !== null && stream.stoppedUntilMs > nowMs ? stream.stoppedUntilMs : null;
}

/** Trouble first, then what is live, then the rest, each by name. */
export function byUrgency(a: Stream, b: Stream): number {
  return rank(a) - rank(b) || a.name.localeCompare(b.name);
}

function rank({ live }: Stream): number {
  if (!live) return 4;
  if (live.verdict === 'bad' || live.state === 'stalled') return 0;
  if (live.state === 'reconnecting') return 1;
  return live.verdict === 'ok' ? 2 : 3;
}

/** What a screen reader is told when a verdict changes. */
export function announced(name: string, health: Health): string {
  const [worst] = health.issues;
  const word = verdictSaid(health.verdict).word.toLowerCase();
  return worst ? `${name}: ${word}. ${worst.problem} ${worst.cure}` : `${name}: ${word}.`;
}
