/** One figure over the last ten minutes: the line, its axes, the figure now, and the same in words for who cannot see it. */
import { useSignal } from '@preact/signals';
import { useId } from 'preact/hooks';
import { extent, linePath, nearest, rangeOf, ticks, xOf, type Point, type Range } from './scale.ts';
import { clock } from './time.ts';

/** The drawing is stretched to its place; only the stroke keeps its width. */
const BOX = { width: 600, height: 100 };

export interface ChartProps {
  readonly title: string;
  readonly points: readonly Point[];
  /** The right edge; the left one is `spanMs` before. */
  readonly untilMs: number;
  readonly spanMs: number;
  /** The axis reaches at least so far up. */
  readonly least?: number;
  /** An axis that is always the same. */
  readonly range?: Range;
  readonly format: (value: number) => string;
  readonly unit: string;
}

export function Chart({ title, points, untilMs, spanMs, least = 1, range, format, unit }: ChartProps) {
  const id = useId();
  /** Where the pointer is, as a share of the width. */
  const pointed = useSignal<number | null>(null);
  const fromMs = untilMs - spanMs;
  const seen = points.filter(({ atMs }) => atMs >= fromMs);
  const axis = range ?? rangeOf(seen, least);
  const about = extent(seen, untilMs);
  const at = pointed.value === null ? null : nearest(seen, fromMs + pointed.value * spanMs);
  const shown = at ? at.value : about?.now;
  const minutes = Math.round(spanMs / 60_000);
  const words = about
    ? `Now ${about.now === null ? 'nothing' : `${format(about.now)} ${unit}`}; ` +
      `in the last ${minutes} minutes between ${format(about.low)} and ${format(about.high)} ${unit}.`
    : `Nothing in the last ${minutes} minutes.`;
  return (
    <figure class="chart" aria-labelledby={id}>
      <figcaption>
        <span id={id} class="chart-title">
          {title}
        </span>
        <span class="chart-now">
          {at && <span class="hint">{clock(at.atMs)}</span>}
          <span>
            <b>{shown == null ? '–' : format(shown)}</b> {unit}
          </span>
        </span>
      </figcaption>
      <div class="plot">
        <div class="plot-y" aria-hidden="true">
          {[...ticks(axis)].reverse().map((tick) => (
            <span key={tick}>{format(tick)}</span>
          ))}
        </div>
        <svg
          viewBox={`0 0 ${BOX.width} ${BOX.height}`} preserveAspectRatio="none" role="img" aria-label={words}
          onPointerMove={(event) => {
            const box = event.currentTarget.getBoundingClientRect();
            pointed.value = (event.clientX - box.left) / box.width;
          }}
          onPointerLeave={() => (pointed.value = null)}
        >
          <path class="grid" d={`M0 0H${BOX.width}M0 ${BOX.height / 2}H${BOX.width}M0 ${BOX.height}H${BOX.width}`} />
          {at && <path class="cursor" d={`M${xOf(at.atMs, fromMs, spanMs, BOX.width)} 0V${BOX.height}`} />}
          <path class="line" d={linePath(seen, fromMs, spanMs, axis, BOX)} />
        </svg>
        <div class="plot-x" aria-hidden="true">
          <span>{minutes} min ago</span>
          <span>{minutes / 2} min</span>
          <span>now</span>
        </div>
      </div>
    </figure>
  );
}
