/** The stream's own slate image: a look at it, another one, none. */
import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { Fault, useDoing } from './act.tsx';
import { call, streamPath } from './client.ts';
import type { Room } from './room.ts';
import type { Stream } from './shapes.ts';

const BYTES_MAX = 6 * 1024 * 1024;
const TYPES = ['image/png', 'image/jpeg'];

export function SlateImage({ room, stream }: { room: Room; stream: Stream }) {
  /** Counts changes, so that the browser asks for the picture anew. */
  const turn = useSignal(Date.now());
  const field = useRef<HTMLInputElement>(null);
  const doing = useDoing();
  const path = streamPath(stream.name, '/slate');
  const put = (file: File | undefined): void => {
    if (!file) return;
    void doing.run(async () => {
      if (!TYPES.includes(file.type)) throw new Error(`${file.name} is no PNG or JPEG picture.`);
      if (file.size > BYTES_MAX) throw new Error(`${file.name} is larger than 6 MiB. A picture of 1920×1080 is enough.`);
      await call('PUT', path, file);
      turn.value += 1;
      await room.refresh();
    });
  };
  const remove = (): void =>
    void doing.run(async () => {
      await call('DELETE', path);
      await room.refresh();
    });
  return (
    <div class="block slate">
      <h3>Slate image</h3>
      <p class="hint">PNG or JPEG, at most 6 MiB. Shown while the encoder is away when the slate is “own image”.</p>
      {stream.slateImage && <img src={`/api/v1${path}?turn=${turn.value}`} alt={`The slate image of ${stream.name}`} />}
      <input
        ref={field} type="file" accept={TYPES.join(',')} hidden onChange={(event) => {
          put(event.currentTarget.files?.[0]);
          event.currentTarget.value = '';
        }}
      />
      <div class="buttons">
        <button type="button" class="button" onClick={() => field.current?.click()} disabled={doing.busy.value}>
          {doing.busy.value ? 'One moment…' : stream.slateImage ? 'Choose another…' : 'Choose an image…'}
        </button>
        {stream.slateImage && (
          <button type="button" class="button" onClick={remove} disabled={doing.busy.value}>
            Remove image
          </button>
        )}
      </div>
      <Fault doing={doing} />
    </div>
  );
}
