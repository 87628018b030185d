/** From samples to a drawing: the range of the axis, its ticks, and the line as an SVG path. Pure. */

export interface Point {
  readonly atMs: number;
  /** Null: nothing came, and the line breaks. */
  readonly value: number | null;
}

export interface Range {
  readonly low: number;
  readonly high: number;
}

export interface Box {
  readonly width: number;
  readonly height: number;
}

/** Samples come each second; a gap longer than this is one in the line, too. */
const GAP_MS = 2_500;
/** A sample older than this says nothing of now: its stream is off, or the server away. */
const STALE_MS = 5_000;

/** From zero to a round number above the largest value; `least` keeps small noise from filling the picture. */
export function rangeOf(points: readonly Point[], least: number): Range {
  const largest = points.reduce((most, { value }) => Math.max(most, value ?? 0), 0);
  return { low: 0, high: roundUp(Math.max(largest * 1.05, least)) };
}

/** The next of 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten: their halves read well, too. */
export function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((step) => step * power >= value * 0.999_999) ?? 10;
  return Number((step * power).toPrecision(3));
}

/** Lowest, middle and highest value of the axis. */
export function ticks({ low, high }: Range): readonly [number, number, number] {
  return [low, (low + high) / 2, high];
}

export function xOf(atMs: number, fromMs: number, spanMs: number, width: number): number {
  return ((atMs - fromMs) / spanMs) * width;
}

export function yOf(value: number, { low, high }: Range, height: number): number {
  const share = (value - low) / (high - low);
  return (1 - Math.min(1, Math.max(0, share))) * height;
}

/** The line from `fromMs` on over `spanMs`; a lone sample is drawn as a short stroke, so that it is seen. */
export function linePath(points: readonly Point[], fromMs: number, spanMs: number, range: Range, { width, height }: Box): string {
  let path = '';
  let lastMs: number | null = null;
  points.forEach(({ atMs, value }, i) => {
    if (value === null || atMs < fromMs || atMs > fromMs + spanMs) {
      lastMs = null;
      return;
    }
    const joined: boolean = lastMs !== null && atMs - lastMs <= GAP_MS;
    const next = points[i + 1];
    const alone = !joined && (!next || next.value === null || next.atMs - atMs > GAP_MS);
    path += `${joined ? 'L' : 'M'}${round(xOf(atMs, fromMs, spanMs, width))} ${round(yOf(value, range, height))}${alone ? 'h1' : ''}`;
    lastMs = atMs;
  });
  return path;
}

/** The point closest in time, or null when none is within ten seconds of it. */
export function nearest(points: readonly Point[], atMs: number): Point | null {
  let best: Point | null = null;
  for (const point of points) {
    if (Math.abs(point.atMs - atMs) < Math.abs((best?.atMs ?? atMs - 10_000) - atMs)) best = point;
  }
  return best;
}

export interface Extent {
  readonly now: number | null;
  readonly low: number;
  readonly high: number;
}

/** The value of this moment, the smallest and the largest; null when there is none at all. */
export function extent(points: readonly Point[], untilMs: number): Extent | null {
  const values = points.flatMap(({ value }) => (value === null ? [] : [value]));
  if (!values.length) return null;
  const last = points.at(-1);
  return { now: last && untilMs - last.atMs <= STALE_MS ? last.value : null, low: Math.min(...values), high: Math.max(...values) };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
