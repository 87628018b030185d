/** Which recordings are wanted: as the address bar says it, and as the API is asked. Pure. */
import { word } from '../decode.ts';
import { STATUSES, VISIBILITIES, type Status, type Visibility } from './shape.ts';

/** The orders of a list, with their names. The first is the usual one. */
export const SORTS = [
  ['-started', 'Newest first'],
  ['started', 'Oldest first'],
  ['-duration', 'Longest first'],
  ['duration', 'Shortest first'],
  ['title', 'By title'],
] as const;
/** The operator's pages have one more. */
export const SIZE_SORT = ['-size', 'Largest first'] as const;

export type Sort = (typeof SORTS)[number][0] | (typeof SIZE_SORT)[0];

export interface Wanted {
  /** Stands in the title, the description or a tag. Empty: any. */
  readonly q: string;
  readonly tag: string;
  readonly stream: string;
  readonly sort: Sort;
  /** Only the operator's API knows the rest. */
  readonly status: Status | '';
  readonly visibility: Visibility | '';
  readonly trashed: boolean;
}

export const ANY: Wanted = { q: '', tag: '', stream: '', sort: '-started', status: '', visibility: '', trashed: false };
/** Rows that are asked for at a time. */
export const PAGE_ROWS = 30;
/** The most the API gives at a time. */
export const PAGE_ROWS_MAX = 100;
/** Longest text the API searches for. */
export const TEXT_MAX = 200;

const SORT_WORDS = [...SORTS.map(([sort]) => sort), SIZE_SORT[0]];

/** What an address wants; what makes no sense is not wanted. */
export function readWanted(search: string): Wanted {
  const given = new URLSearchParams(search);
  const text = (name: string): string => (given.get(name) ?? '').slice(0, TEXT_MAX);
  return {
    q: text('q'),
    tag: text('tag'),
    stream: text('stream'),
    sort: word(given.get('sort'), SORT_WORDS, ANY.sort),
    status: word(given.get('status'), STATUSES, ''),
    visibility: word(given.get('visibility'), VISIBILITIES, ''),
    trashed: given.get('trashed') === 'true',
  };
}

/** The end of an address, from `?` on; empty when nothing special is wanted. */
export function writeWanted(wanted: Wanted): string {
  const query = parameters(wanted).toString();
  return query && `?${query}`;
}

/** Whether the list is narrowed: then that it is empty says nothing about all recordings. */
export function isNarrow(wanted: Wanted): boolean {
  return writeWanted({ ...wanted, sort: ANY.sort }) !== '';
}

/** What to ask the API with. */
export function apiQuery(wanted: Wanted, limit: number, cursor: string | null): string {
  const query = parameters(wanted);
  query.set('limit', String(limit));
  if (cursor !== null) query.set('cursor', cursor);
  return query.toString();
}

function parameters(wanted: Wanted): URLSearchParams {
  const query = new URLSearchParams();
  for (const name of ['q', 'tag', 'stream', 'sort', 'status', 'visibility'] as const) {
    const value = wanted[name].trim();
    if (value !== ANY[name]) query.set(name, value);
  }
  if (wanted.trashed) query.set('trashed', 'true');
  return query;
}
