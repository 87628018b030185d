/** Looks at what came over the wire: everything is `unknown` until a field was looked at. Nonsense reads as missing. */

export function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

/** A text that says something; the empty one reads as missing. */
export function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

export function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** The items that `decode` makes something of. */
export function list<T>(value: unknown, decode: (item: unknown) => T | null): T[] {
  return (Array.isArray(value) ? value : []).map(decode).filter((item) => item !== null);
}

/** One of the words this page knows, else `otherwise`: a newer server may say more. */
export function word<const W extends string, const O>(value: unknown, known: readonly W[], otherwise: O): W | O {
  return known.find((each) => each === value) ?? otherwise;
}
