/** The player of a recording for a page that is about it. */
import { browserKeeper, recall, remember, startAt } from '../vod/position.ts';
import { VodViewer } from '../vod/viewer.ts';
import { fetchRecording } from './api.ts';
import { lengthOf, type Recording } from './shape.ts';

/** Between two notes of where the viewer is. */
const NOTE_MS = 5_000;

/** Begins where the address says, else where this viewer was. */
export function openRecording(recording: Recording): VodViewer {
  const { id, hls } = recording;
  const length_s = lengthOf(recording, Date.now());
  return new VodViewer({
    hls,
    from_s: startAt(location.search, recall(browserKeeper(), id), length_s),
    length_s,
    autoplay: true,
    exists: async () => (await fetchRecording(id)) !== null,
  });
}

/** Remembers from now on where the viewer is, so that the next visit goes on there. Gives what ends it. */
export function noteWhere(viewer: VodViewer, id: string): () => void {
  const note = (): void => {
    const { phase } = viewer.playback.value;
    if (phase.kind === 'playing') remember(browserKeeper(), id, viewer.time.value, viewer.length.value);
  };
  const timer = setInterval(() => {
    if (!viewer.paused.value) note();
  }, NOTE_MS);
  addEventListener('pagehide', note);
  document.addEventListener('visibilitychange', note);
  return () => {
    clearInterval(timer);
    removeEventListener('pagehide', note);
    document.removeEventListener('visibilitychange', note);
  };
}
