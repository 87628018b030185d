/** What viewers got in the last ten minutes, as their players tell. */
import { streamPath, call } from './client.ts';
import { UNKNOWN, whole } from './figures.ts';
import { Pairs, type Facts } from './pairs.tsx';
import { usePolled } from './polled.ts';
import { decodeExperience, type Percentiles } from './shapes.ts';

const EVERY_MS = 15_000;

export function Experience({ name }: { name: string }) {
  const { data } = usePolled(async () => decodeExperience(await call('GET', streamPath(name, '/experience'))), EVERY_MS);
  const seen = data.value;
  if (!seen) return null;
  const facts: Facts = [
    ['Time to the picture', both(seen.startupMs)],
    ['Delay', both(seen.latencyMs)],
    ['Stood still', seen.stallRatio === null ? UNKNOWN : `${(seen.stallRatio * 100).toFixed(2)} %`],
    ['Stalls', whole(seen.stalls)],
    ['Faults', whole(seen.errors)],
  ];
  return (
    <section aria-labelledby="experience-title">
      <h2 id="experience-title" class="small-head">
        What viewers got, last 10 minutes
      </h2>
      {seen.beacons === 0 ? (
        <p class="hint">No player has told yet. Weir's own pages do, each quarter of a minute.</p>
      ) : (
        <>
          <Pairs facts={facts} class="strip" />
          <p class="hint">
            Median, then what nineteen of twenty stay within.
            {seen.renditions.length > 0 && ` On screen: ${seen.renditions.map(({ name, share }) => `${name} ${Math.round(share * 100)} %`).join(', ')}.`}
          </p>
        </>
      )}
    </section>
  );
}

/** `0.8 s, 2.1 s`. */
function both(value: Percentiles | null): string {
  return value ? `${seconds(value.p50)}, ${seconds(value.p95)}` : UNKNOWN;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
