/** The details of a change that was made, as an operator reads them: what became of what, without the names machines use. */
import { UNKNOWN } from './figures.ts';
import { moment } from './time.ts';

/** The row's target says which stream it was; its inner number says nothing to a person. */
const LEFT_OUT = ['stream'];

/** Lines such as `title: “Friday” instead of “Thursday”`. Whatever it is, it becomes text. */
export function detailLines(detail: Readonly<Record<string, unknown>>, nowMs: number): string[] {
  const { before, after, ...rest } = detail;
  const lines: string[] = [];
  if (isRecord(before) && isRecord(after)) {
    for (const [name, value] of Object.entries(after)) {
      const [now, was] = [valueSaid(name, value, nowMs), valueSaid(name, before[name], nowMs)];
      if (now !== was) lines.push(`${nameSaid(name)}: ${now} instead of ${was}`);
    }
  } else {
    if (before !== undefined) lines.push(`before: ${valueSaid('before', before, nowMs)}`);
    if (after !== undefined) lines.push(`after: ${valueSaid('after', after, nowMs)}`);
  }
  for (const [name, value] of Object.entries(rest)) {
    if (LEFT_OUT.includes(name) || value === null) continue;
    const said = valueSaid(name, value, nowMs);
    if (said) lines.push(`${nameSaid(name)}: ${said}`);
  }
  return lines;
}

function valueSaid(name: string, value: unknown, nowMs: number): string {
  if (value === null || value === undefined) return UNKNOWN;
  if (typeof value === 'string') return name === 'title' ? `“${value}”` : value;
  if (typeof value === 'number' && name.endsWith('_ms')) return moment(value, nowMs);
  if (typeof value === 'number' && name.endsWith('_s')) return `${value} s`;
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value)) return value.map((each) => valueSaid(name, each, nowMs)).join('; ');
  if (isRecord(value)) {
    const known = Object.entries(value).filter(([, inner]) => inner !== null);
    return known.map(([inner, each]) => `${nameSaid(inner)} ${valueSaid(inner, each, nowMs)}`).join(', ');
  }
  return String(value);
}

/** `reconnect_window_s` is `reconnect window` to a person. */
function nameSaid(name: string): string {
  return name.replace(/_m?s$/, '').replaceAll('_', ' ');
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
