/** Numbers as an operator reads them: few digits, the unit beside. A value that is not known is a dash. */

export const UNKNOWN = '–';

const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

export function whole(value: number | null): string {
  return value === null ? UNKNOWN : grouped.format(value);
}

export function decimal(value: number | null, digits = 1): string {
  return value === null ? UNKNOWN : value.toFixed(digits);
}

/** `850 kb/s`, `4.52 Mb/s`. */
export function rate(kbps: number | null): string {
  if (kbps === null) return UNKNOWN;
  return kbps < 1000 ? `${Math.round(kbps)} kb/s` : `${(kbps / 1000).toFixed(2)} Mb/s`;
}

/** `512 MB`, `7.8 GB`, in powers of 1000 as disks and networks are sold. */
export function bytes(value: number | null): string {
  if (value === null) return UNKNOWN;
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let at = 0;
  let rest = value;
  while (rest >= 999.5 && at < units.length - 1) {
    rest /= 1000;
    at += 1;
  }
  return `${rest < 10 && at > 0 ? rest.toFixed(1) : Math.round(rest)} ${units[at]}`;
}

/** What was measured against its limit: at most two digits behind the point, none that say nothing. */
export function measured(value: number | null, unit: string): string {
  if (value === null) return UNKNOWN;
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  const figure = String(Number(value.toFixed(digits)));
  return unit ? `${figure} ${unit}` : figure;
}

/** `1 viewer`, `12 viewers`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${whole(count)} ${count === 1 ? one : many}`;
}
