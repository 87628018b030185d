/** The player of a recording as viewers have it, waiting to be started. It is loaded only when there is something to see. */
import { useEffect, useMemo } from 'preact/hooks';
import { isChanging, lengthOf } from '../recordings/shape.ts';
import { VodScreen } from '../vod/screen.tsx';
import { VodViewer } from '../vod/viewer.ts';
import { call, recordingPath, Refusal } from './client.ts';
import type { PlayerProps } from './lazy-player.tsx';

export default function Player({ recording, onViewer }: PlayerProps) {
  const { id, hls, thumb } = recording;
  const viewer = useMemo(
    () => new VodViewer({ hls, from_s: 0, length_s: lengthOf(recording, Date.now()), autoplay: false, exists: () => exists(id) }),
    [id],
  );
  useEffect(() => {
    onViewer(viewer);
    return () => onViewer(null);
  }, [viewer]);
  return <VodScreen viewer={viewer} poster={thumb} growing={recording.status === 'recording'} changing={isChanging(recording)} chapters={recording.chapters} preview />;
}

async function exists(id: string): Promise<boolean> {
  try {
    await call('GET', recordingPath(id));
    return true;
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return false;
    throw error;
  }
}
