/** How the stream is doing: the verdict, and for what is wrong the cure before the figures. */
import { useSignalEffect, useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import { measured, rate, UNKNOWN, whole } from './figures.ts';
import { Pairs, type Facts } from './pairs.tsx';
import type { Room } from './room.ts';
import { announced, headline, stateMeans, verdictMeans, type Said } from './said.ts';
import type { Issue, Mendable } from './shapes.ts';
import { lasted, moment } from './time.ts';
import { ToneMark } from './tone.tsx';

export function HealthPanel({ room }: { room: Room }) {
  const health = room.health.value;
  const live = room.stream.value?.live ?? null;
  const verdict = health?.verdict ?? live?.verdict ?? 'no_data';
  return (
    <HealthCard
      label={<span class="unseen">Health: </span>} said={headline(live?.state ?? 'off', verdict)} issues={health?.issues ?? []}
      means={(live?.state ?? 'live') === 'live' ? verdictMeans(verdict) : null} nowMs={room.nowMs.value}
    >
      <Announcer room={room} />
      {live && live.state !== 'live' && (
        <p class="standing">
          {stateMeans(live.state)} {live.slate ? 'Viewers see the slate.' : 'Viewers wait.'}
        </p>
      )}
    </HealthCard>
  );
}

export interface HealthCardProps {
  /** Whose health it is, before the word for it. */
  readonly label: ComponentChildren;
  readonly said: Said;
  /** Stands beside the word when there is no issue to name. */
  readonly means: string | null;
  /** Worst first. */
  readonly issues: readonly Issue[];
  readonly nowMs: number;
  readonly children?: ComponentChildren;
}

export function HealthCard({ label, said, means, issues, nowMs, children }: HealthCardProps) {
  const id = useId();
  const [worst, ...others] = issues;
  return (
    <section class={`card-panel health ${said.tone}`} aria-labelledby={id}>
      <div class="health-head">
        <ToneMark tone={said.tone} />
        <h2 id={id}>
          {label}
          {said.word}
        </h2>
        {!worst && means && <p class="hint">{means}</p>}
      </div>
      {children}
      {worst && <WorstIssue issue={worst} nowMs={nowMs} />}
      {others.length > 0 && (
        <>
          <h3 class="small-head">Then</h3>
          <ul class="issues">
            {others.map((issue) => (
              <Mend key={issue.code} what={issue}>
                <Figures issue={issue} nowMs={nowMs} />
              </Mend>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

/** One thing to be mended among others; `children` is what was measured of it. */
export function Mend({ what, children }: { what: Mendable; children: ComponentChildren }) {
  return (
    <li class={what.severity}>
      <ToneMark tone={what.severity} />
      <div>
        <p>
          <span class="unseen">{what.severity}: </span>
          {what.problem}
        </p>
        <p class="cure-line">{what.cure}</p>
        {children}
      </div>
    </li>
  );
}

function WorstIssue({ issue, nowMs }: { issue: Issue; nowMs: number }) {
  return (
    <div class="worst">
      <p>{issue.problem}</p>
      <p class="cure">{issue.cure}</p>
      <Figures issue={issue} nowMs={nowMs} />
    </div>
  );
}

function Figures({ issue, nowMs }: { issue: Issue; nowMs: number }) {
  const { value, limit, unit, sinceMs } = issue;
  // A limit of nothing at all (no room, no sound) is said by the problem already.
  const isTold = limit !== 0;
  return (
    <p class="facts figures">
      {isTold && value !== null && <span>Measured {measured(value, unit)}</span>}
      {isTold && limit !== null && <span>Limit {measured(limit, unit)}</span>}
      {sinceMs !== null && (
        <span>
          Since {moment(sinceMs, nowMs)} ({lasted(nowMs - sinceMs)})
        </span>
      )}
    </p>
  );
}

/** Tells a screen reader when the verdict or the worst issue becomes another; not each time a figure moves. */
function Announcer({ room }: { room: Room }) {
  const text = useSignal('');
  const last = useSignal<string | null>(null);
  useSignalEffect(() => {
    const health = room.health.value;
    if (!health) return;
    const about = `${health.verdict} ${health.issues[0]?.code ?? ''}`;
    if (last.peek() !== null && last.peek() !== about) text.value = announced(room.name, health);
    last.value = about;
  });
  return (
    <p class="unseen" role="status">
      {text.value}
    </p>
  );
}

/** The figures of this moment, all of one size, so that the eye finds each where it was. */
export function FactStrip({ room }: { room: Room }) {
  const stats = room.stats.value;
  const measuredNow = room.health.value?.measured ?? null;
  const live = room.stream.value?.live ?? null;
  if (!live) return null;
  const size = live.width && live.height ? `${live.width}×${live.height}` : UNKNOWN;
  const sound = measuredNow?.sampleRate ? `${measuredNow.sampleRate / 1000} kHz, ${channels(measuredNow.channels)}` : UNKNOWN;
  const facts: Facts = [
    ['Live for', live.sinceMs === null ? UNKNOWN : lasted(room.nowMs.value - live.sinceMs)],
    ['Bit rate', rate(stats?.bitrateKbps ?? null)],
    ['Picture', size],
    ['Frame rate', measured(stats?.fps ?? live.fps, 'fps')],
    ['Keyframes every', measured(stats?.keyframeS ?? null, 's')],
    ['B-frames', whole(measuredNow?.bFrames ?? null)],
    ['Sound', sound],
    ['Sound ahead by', measuredNow?.skewS == null ? UNKNOWN : `${Math.round(measuredNow.skewS * 1000)} ms`],
    ['Lost, 10 min', whole(stats?.losses ?? measuredNow?.losses ?? null)],
    ...(live.viewers === null && stats?.viewers == null ? [] : [['Viewers', whole(stats?.viewers ?? live.viewers)] as const]),
    ...(stats?.encoder ? [['Encoder', stats.encoder] as const] : []),
  ];
  return (
    <Pairs facts={facts} class="strip" />
  );
}

function channels(count: number | null): string {
  if (count === null) return 'unknown channels';
  return count === 1 ? 'mono' : count === 2 ? 'stereo' : `${count} channels`;
}
