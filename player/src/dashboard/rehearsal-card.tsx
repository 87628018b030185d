/** A stream's rehearsal: how to do one; while one is on how it does; afterwards what it came to. */
import { Copy } from '../copy.tsx';
import { HealthCard, Mend } from './health.tsx';
import { LazyPreview } from './lazy-preview.tsx';
import { Outcome } from './outcome.tsx';
import { share, type Rehearsal } from './rehearsal.ts';
import type { Room } from './room.ts';
import { verdictMeans, verdictSaid } from './said.ts';
import { clock, lasted } from './time.ts';

/** What a publisher adds to its key, and takes off again. */
const MARK = '?test=1';

export function RehearsalPanel({ room }: { room: Room }) {
  const rehearsal = room.rehearsal.value;
  if (!rehearsal) return null;
  const { health, preview } = rehearsal;
  const nowMs = room.nowMs.value;
  // One picture on a page: two would cost the operator's machine twice, and a screen reader could not tell them apart.
  const shown = room.stream.value?.live ? null : preview;
  // One element from running to over, so that the place of the score stays and a screen reader hears what comes into it.
  return (
    <div class={shown ? 'lookout' : undefined}>
      <div class="rehearsal-words">
        <Card rehearsal={rehearsal} nowMs={nowMs} />
        {health && (
          <HealthCard
            label={<><span class="unseen">Rehearsal, </span>Now: </>} said={verdictSaid(health.verdict)} issues={health.issues}
            means={verdictMeans(health.verdict)} nowMs={nowMs}
          />
        )}
      </div>
      {shown && (
        <div>
          <div class="preview">
            <LazyPreview name={shown} ticket={null} />
          </div>
        </div>
      )}
    </div>
  );
}

function Card({ rehearsal, nowMs }: { rehearsal: Rehearsal; nowMs: number }) {
  const { state } = rehearsal;
  return (
    <section class="card-panel rehearsal" aria-labelledby="rehearsal-title">
      <div class="rehearsal-head">
        <h2 id="rehearsal-title">Rehearsal</h2>
        {state !== 'none' && <span class="chip idle plain-chip">{state === 'running' ? 'Running' : 'Over'}</span>}
      </div>
      {state === 'none' ? <HowTo /> : <Findings rehearsal={rehearsal} nowMs={nowMs} />}
    </section>
  );
}

function HowTo() {
  return (
    <>
      <p>
        Try your settings before a show. Add <code>{MARK}</code> behind the stream key in OBS and start streaming: nothing is shown, kept
        or sent on, and after a minute there is a score here.
      </p>
      <Copy label="Behind the stream key" text={MARK} />
    </>
  );
}

function Findings({ rehearsal, nowMs }: { rehearsal: Rehearsal; nowMs: number }) {
  const { state, sinceMs, longestS, score, flaws, encoder, preview } = rehearsal;
  // Before the score what is wrong stands in the health beside it.
  const isTold = score !== null || state === 'over';
  return (
    <>
      {state === 'running' && (
        <p class="facts">
          <span>Nobody sees this.</span>
          {sinceMs !== null && (
            <span>
              Since {clock(sinceMs)} ({lasted(nowMs - sinceMs)})
            </span>
          )}
          {longestS !== null && <span>Ends by itself after {lasted(longestS * 1000)}</span>}
          {encoder && <span>{encoder}</span>}
        </p>
      )}
      <Outcome rehearsal={rehearsal} />
      {isTold && flaws.length > 0 && (
        <>
          <h3 class="small-head">Found in its minute</h3>
          <ul class="issues">
            {flaws.map((flaw) => (
              <Mend key={flaw.code} what={flaw}>
                <p class="facts figures">{share(flaw)}</p>
              </Mend>
            ))}
          </ul>
        </>
      )}
      {preview && (
        <p class="facts">
          <a href={`/watch/${preview}`} target="_blank" rel="noopener">
            Open the private preview
            <span class="unseen"> (opens a new tab)</span>
          </a>
          <span>Whoever has its address can watch.</span>
        </p>
      )}
      <p class="hint">
        To go live, take <code>{MARK}</code> off the stream key and start again.
      </p>
    </>
  );
}
