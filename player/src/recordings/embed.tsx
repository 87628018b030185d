/** `/embed/recordings/ID`: the player of a recording alone, as large as its frame, for other people's pages. */
import '../style.css';
import '../dashboard/tone.css';
import '../vod/vod.css';
import { render } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import { VodScreen } from '../vod/screen.tsx';
import { known, useRecording } from './seen.ts';
import { idInPath, isChanging, titleOf, type Recording } from './shape.ts';
import { Stage } from './stage.tsx';
import { noteWhere, openRecording } from './vod.ts';

function Page({ id }: { id: string }) {
  const seen = useRecording(id).value;
  const recording = known(seen);
  return (
    <main>
      <h1 class="unseen">{recording ? titleOf(recording) : 'Recording'}</h1>
      {recording ? <Player recording={recording} /> : <Stage seen={seen} />}
    </main>
  );
}

function Player({ recording }: { recording: Recording }) {
  const { id, status, thumb } = recording;
  const viewer = useMemo(() => openRecording(recording), [id]);
  useEffect(() => noteWhere(viewer, id), [viewer]);
  useEffect(() => {
    document.title = `${titleOf(recording)} · Weir`;
  }, [recording]);
  return <VodScreen viewer={viewer} poster={thumb} growing={status === 'recording'} changing={isChanging(recording)} chapters={recording.chapters} />;
}

const root = document.getElementById('app');
if (root) render(<Page id={idInPath(location.pathname)} />, root);
