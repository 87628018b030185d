/** Stopping a stream, and allowing it again before its time. */
import { useSignal } from '@preact/signals';
import { Fault, useDoing } from './act.tsx';
import { call, streamPath } from './client.ts';
import { Dialog } from './dialog.tsx';
import type { Room } from './room.ts';
import { stoppedUntil } from './said.ts';
import type { Stream } from './shapes.ts';

export function StopAllow({ room, stream }: { room: Room; stream: Stream }) {
  const asking = useSignal(false);
  const doing = useDoing();
  const stopped = stoppedUntil(stream, room.nowMs.value) !== null;
  const close = (): void => void (asking.value = false);
  const allow = (): void => void doing.run(async () => room.take(await call('POST', streamPath(stream.name, '/allow'))));
  const stop = async (): Promise<void> => {
    const done = await doing.run(async () => {
      await call('POST', streamPath(stream.name, '/stop'));
      await room.refresh();
    });
    if (done) close();
  };
  return (
    <div class="head-buttons">
      {stopped ? (
        <button type="button" class="button primary" onClick={allow} disabled={doing.busy.value}>
          Allow now
        </button>
      ) : (
        <button type="button" class="button danger" onClick={() => (asking.value = true)}>
          Stop stream
        </button>
      )}
      {!asking.value && <Fault doing={doing} />}
      {asking.value && (
        <Dialog title={`Stop ${stream.name}?`} onClose={close}>
          <p>
            {stream.live ? 'Its encoder is sent away and viewers see the end of the stream. ' : 'Nobody sends it at present. '}
            Its keys open nothing for 60 seconds, so that an encoder that reconnects by itself does not undo it. You can allow it again
            sooner.
          </p>
          <Fault doing={doing} />
          <div class="buttons">
            <button type="button" class="button danger" onClick={() => void stop()} disabled={doing.busy.value}>
              Stop stream
            </button>
            <button type="button" class="button" onClick={close}>
              Keep it on
            </button>
          </div>
        </Dialog>
      )}
    </div>
  );
}
