/** Tells the server now and then what this viewer got, so that the operator sees it; nothing in it says who. */
import { livePath } from './api.ts';
import { Tally } from './tally.ts';
import type { Viewer } from './viewer.ts';

const LOOK_MS = 250;
const TELL_MS = 15_000;
/** Phases in which there is a stream that should be seen. */
const SHOWN = new Set(['opening', 'playing', 'reconnecting']);

/** Which stream it is, and what opens it when it is private. */
export interface Told {
  readonly name: string;
  readonly ticket: string | null;
}

/** Begins to look, for as long as the page lives. `current`: who watches live now; null while nobody does. */
export function tellOf({ name, ticket }: Told, current: () => Viewer | null): void {
  const tally = new Tally();
  let position = -1;
  let errors = 0;
  let attempts = 0;
  let looked: Viewer | null = null;
  const look = (): void => {
    const viewer = current();
    const video = document.querySelector('video');
    if (viewer !== looked) [looked, position, attempts] = [viewer, -1, 0];
    if (!video || !viewer) return;
    const { phase, attempts: tried } = viewer.playback.value;
    if (tried > attempts) errors += 1;
    attempts = tried;
    const moved = position >= 0 && video.currentTime !== position && !video.seeking;
    position = video.currentTime;
    // A browser that demands a tap first is waited for like a viewer who paused.
    const wanted = SHOWN.has(phase.kind) && document.visibilityState === 'visible' && !viewer.blocked.value && (moved || !isPaused(viewer, video));
    const rung = viewer.rungs.value.find(({ id }) => id === viewer.showing.value);
    tally.look({ now_ms: performance.now(), moved, wanted, delay_s: viewer.delay.value, rendition: rung?.name ?? null, errors });
  };
  const tell = (): void => {
    const beacon = tally.take();
    if (!beacon) return;
    const path = livePath(name, '/beacon', ticket);
    // What cannot be told is not worth a word to the viewer.
    void fetch(path, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(beacon), keepalive: true,
    }).catch(() => undefined);
  };
  setInterval(look, LOOK_MS);
  setInterval(tell, TELL_MS);
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'hidden') tell();
  });
  addEventListener('pagehide', tell);
}

/** Before the first picture the element is paused until it has something to play; that is no wish of the viewer's. */
function isPaused(viewer: Viewer, video: HTMLVideoElement): boolean {
  return viewer.paused.value && video.currentTime > 0;
}
