/** Keeps an event stream of the API open: reads it with `fetch`, and opens it anew, ever more slowly, when it ends. */
import { EventParser, type ServerEvent } from './sse.ts';

/** The server pings every 15 s; silence for longer than this means that nobody is there. */
const SILENCE_MS = 35_000;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 10_000;
/** A refusal (a token, a stream that was removed) seldom changes: it is asked about again, but slowly. */
const REFUSED_RETRY_MS = 30_000;

export interface Follower {
  /** The stream is open; called again after each reconnect. */
  opened(): void;
  event(event: ServerEvent): void;
  /** The server does not answer. */
  lost(): void;
  /** The server said no. True: give up; otherwise it is asked again. */
  refused(answer: Response): boolean;
}

/** Follows until `stop`. `token` is sent as a bearer token; without it the page's cookie goes along. */
export async function follow(path: string, follower: Follower, stop: AbortSignal, token?: string): Promise<void> {
  let retry_ms = RETRY_MIN_MS;
  while (!stop.aborted) {
    let wait_ms = retry_ms;
    // Not AbortSignal.any: the browser inside OBS 30 and older does not have it.
    const attempt = new AbortController();
    const giveUp = (): void => attempt.abort();
    stop.addEventListener('abort', giveUp);
    let timer = setTimeout(giveUp, SILENCE_MS);
    try {
      const headers: Record<string, string> = { accept: 'text/event-stream' };
      if (token !== undefined) headers['authorization'] = `Bearer ${token}`;
      const answer = await fetch(`/api/v1${path}`, { headers, cache: 'no-store', signal: attempt.signal });
      if (answer.status >= 400 && answer.status < 500) {
        if (follower.refused(answer)) return;
        wait_ms = REFUSED_RETRY_MS;
      } else if (answer.ok && answer.body) {
        follower.opened();
        retry_ms = wait_ms = RETRY_MIN_MS;
        const parser = new EventParser();
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        for (let read = await reader.read(); !read.done; read = await reader.read()) {
          clearTimeout(timer);
          timer = setTimeout(giveUp, SILENCE_MS);
          for (const event of parser.push(read.value)) follower.event(event);
        }
        // The server ends every stream after a while; only when it does not take the next one is it away.
      } else {
        follower.lost();
      }
    } catch {
      if (stop.aborted) return;
      follower.lost();
    } finally {
      clearTimeout(timer);
      stop.removeEventListener('abort', giveUp);
    }
    retry_ms = Math.min(RETRY_MAX_MS, retry_ms * 1.7);
    // Spread, so that the pages of one server do not come back all at once.
    await pause(wait_ms * (0.75 + Math.random() / 2), stop);
  }
}

function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const finish = (): void => {
      clearTimeout(timer);
      removeEventListener('online', finish);
      stop.removeEventListener('abort', finish);
      done();
    };
    const timer = setTimeout(finish, ms);
    stop.addEventListener('abort', finish);
    // The network came back: no reason to wait any longer.
    addEventListener('online', finish);
  });
}
