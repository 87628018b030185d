/**
 * What the address of a stream's page says: `/watch/demo`, and of a private one `/p/TICKET/watch/demo`. Everything else that there is
 * of a stream has the same in front, and playlists have relative addresses, so a ticket stays where it is.
 */

/** `demo` of both. The server only serves these pages for names of `[a-z0-9_-]{1,64}`. */
export function nameInPath(path: string): string {
  return decodeURIComponent(path.split('/').at(-1) ?? '');
}

/** The ticket at the front of a path; null without one. */
export function ticketInPath(path: string): string | null {
  return /^\/p\/([\w-]+)\//.exec(path)?.[1] ?? null;
}

/** What stands in front of the paths of who has this ticket. */
export function baseOf(ticket: string | null): string {
  return ticket === null ? '' : `/p/${ticket}`;
}

/** The same address with this ticket in the place of the one it has. */
export function withTicket(url: string, ticket: string | null): string {
  return ticket === null ? url : url.replace(/\/p\/[\w-]+\/(?=live\/)/, `/p/${ticket}/`);
}
