/** Times as an operator reads them. */

/** `45 s`, `12 min`, `3 h 05 min`, `2 d 4 h`: how long something has lasted. */
export function lasted(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${two(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `0:00:07`, `12:03:59`: a running clock that never changes its shape. */
export function running(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

/** `14:03:09`, in the browser's time zone. */
export function clock(atMs: number): string {
  const at = new Date(atMs);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** `2026-07-30`, in the browser's time zone. */
export function day(atMs: number): string {
  const at = new Date(atMs);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

/** The clock alone for today, day and clock for any other day. */
export function moment(atMs: number, nowMs: number): string {
  return day(atMs) === day(nowMs) ? clock(atMs) : `${day(atMs)} ${clock(atMs)}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
