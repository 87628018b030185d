/** Times of recordings as people read and write them. Pure but for the browser's time zone. */

const day = new Intl.DateTimeFormat('en', { dateStyle: 'medium' });
const dayAndClock = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short', hour12: false });

/** `0:07`, `12:34`, `1:02:03`: a place in a recording, or its length. */
export function stamp(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** `0:07.3`, `1:02:03.0`: the same to the tenth, never later than the place itself. */
export function exactStamp(seconds: number): string {
  // Binary fractions: 2.3 is a little less than 23 tenths.
  const tenths = Math.max(0, Math.floor(seconds * 10 + 1e-6));
  return `${stamp(tenths / 10)}.${tenths % 10}`;
}

/** Reads `75`, `1:15`, `1:02:03.5`; null when it is none of these. Seconds. */
export function readStamp(text: string): number | null {
  const parts = text.trim().replace(',', '.').split(':');
  const good = parts.length <= 3 && parts.every((part, i) => (i === parts.length - 1 ? /^\d{1,6}(\.\d{1,3})?$/ : /^\d{1,5}$/).test(part));
  return good ? parts.reduce((seconds, part) => seconds * 60 + Number(part), 0) : null;
}

/** `1 hour 2 minutes 3 seconds`, as a screen reader says it. */
export function spoken(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [
    [Math.floor(whole / 3600), 'hour'],
    [Math.floor(whole / 60) % 60, 'minute'],
    [whole % 60, 'second'],
  ] as const;
  const said = parts.filter(([count]) => count > 0).map(([count, unit]) => `${count} ${unit}${count === 1 ? '' : 's'}`);
  return said.join(' ') || '0 seconds';
}

/** `PT754S`: a length for `<time>`. */
export function isoLength(seconds: number): string {
  return `PT${Math.max(0, Math.round(seconds))}S`;
}

/** `Jul 30, 2026`. */
export function onDay(atMs: number): string {
  return day.format(atMs);
}

/** `Jul 30, 2026, 14:03`. */
export function onDayAt(atMs: number): string {
  return dayAndClock.format(atMs);
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
