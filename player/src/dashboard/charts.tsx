/** What came in over the last ten minutes, one chart a figure. */
import { useMemo } from 'preact/hooks';
import { Chart } from './chart.tsx';
import { whole } from './figures.ts';
import { SPAN_MS, type Room } from './room.ts';
import type { Point } from './scale.ts';
import type { Sample } from './shapes.ts';

/** Quieter than this is silence to a viewer, and below what a chart of sound is worth. */
const SILENT_DB = -60;

export function Charts({ room }: { room: Room }) {
  const samples = room.samples.value ?? [];
  const of = (figure: (sample: Sample) => number | null): Point[] =>
    samples.map((sample) => ({ atMs: sample.atMs, value: figure(sample) }));
  const points = useMemo(
    () => ({
      video: of((sample) => sample.videoKbps),
      audio: of((sample) => sample.audioKbps),
      fps: of((sample) => sample.fps),
      keyframe: of((sample) => sample.keyframeS),
      lag: of((sample) => sample.lagMs),
      level: of((sample) => (sample.levelDb === null ? null : Math.max(SILENT_DB, sample.levelDb))),
    }),
    [samples],
  );
  const untilMs = Math.max(room.nowMs.value, samples.at(-1)?.atMs ?? 0);
  if (!samples.some(({ atMs }) => atMs > untilMs - SPAN_MS)) return null;
  const time = { untilMs, spanMs: SPAN_MS };
  return (
    <section aria-labelledby="charts-title">
      <h2 id="charts-title" class="small-head">
        What comes in, last 10 minutes
      </h2>
      <div class="charts">
        <Chart title="Video" points={points.video} least={500} format={whole} unit="kb/s" {...time} />
        <Chart title="Frame rate" points={points.fps} least={30} format={short} unit="fps" {...time} />
        <Chart title="Time between keyframes" points={points.keyframe} least={3} format={short} unit="s" {...time} />
        <Chart title="Audio" points={points.audio} least={150} format={whole} unit="kb/s" {...time} />
        {isKnown(points.level) && (
          <Chart title="Loudness" points={points.level} range={{ low: SILENT_DB, high: 0 }} format={whole} unit="dB" {...time} />
        )}
        {isKnown(points.lag) && (
          <Chart title="Encoding behind the source" points={points.lag} least={200} format={whole} unit="ms" {...time} />
        )}
      </div>
    </section>
  );
}

/** Loudness is not measured everywhere, and a source that is passed on alone is not encoded. */
function isKnown(points: readonly Point[]): boolean {
  return points.some(({ value }) => value !== null);
}

/** One digit behind the point, none that says nothing: `2`, `29.9`. */
function short(value: number): string {
  return String(Number(value.toFixed(1)));
}
