/** Asks the public API for recordings. */
import { ask } from '../api.ts';
import { field, text } from '../decode.ts';
import type { AskPage } from './listing.ts';
import { apiQuery } from './query.ts';
import { decodeDownloads, type Download } from './downloads.ts';
import { decodePage, decodeRecording, ticketIn, type Recording } from './shape.ts';

const SILENT = 'The server does not answer.';

/** A page of the library. Throws with a sentence to read. */
export const fetchLibrary: AskPage = async (wanted, limit, cursor) => {
  const answer = await ask(`/api/v1/library?${apiQuery(wanted, limit, cursor)}`).catch(() => null);
  const body: unknown = await answer?.json().catch(() => null);
  if (!answer?.ok) throw new Error(text(field(body, 'message')) ?? SILENT);
  return decodePage(body);
};

/** One recording; null when there is none that this viewer may see. Throws when the server does not answer. */
export async function fetchRecording(id: string): Promise<Recording | null> {
  const answer = await ask(address(id));
  if (answer.status === 404) return null;
  const recording = answer.ok ? decodeRecording(await answer.json()) : null;
  if (!recording) throw new Error(SILENT);
  return recording;
}

/** Its MP4 files, which the server may have to lay out first. Throws with a sentence to read. */
export async function fetchDownloads(id: string): Promise<readonly Download[]> {
  const answer = await ask(address(id, '/downloads')).catch(() => null);
  if (!answer?.ok) throw new Error(SILENT);
  return decodeDownloads(await answer.json());
}

function address(id: string, rest = ''): string {
  const ticket = ticketIn(location.search);
  return `/api/v1/library/${encodeURIComponent(id)}${rest}${ticket ? `?ticket=${encodeURIComponent(ticket)}` : ''}`;
}
