/** Whether a stream is recorded, and beginning and ending a recording of it by hand. */
import { useSignal } from '@preact/signals';
import { decodeRecording, type Recording } from '../recordings/shape.ts';
import { ANY, writeWanted } from '../recordings/query.ts';
import { Fault, useDoing } from './act.tsx';
import { call, streamPath } from './client.ts';
import { ruleMeans, type RecordRule } from './recorded.ts';
import type { Room } from './room.ts';
import { pathOf } from './route.ts';
import { running as elapsed } from './time.ts';

/** How far back the button reaches; the server gives what it still has of it. */
const BACK_S = 300;

export function RecordPanel({ room }: { room: Room }) {
  const recorded = room.recorded.value;
  /** The recording that was ended here last. */
  const ended = useSignal<Recording | null>(null);
  const doing = useDoing();
  if (!recorded) return null;
  const { rule, running } = recorded;
  const isLive = (room.stream.value?.live ?? null) !== null;
  const path = streamPath(room.name, '/recording');
  const begin = (back_s: number) => (): void =>
    void doing.run(async () => {
      ended.value = null;
      await call('POST', path, { back_s });
      await room.refresh();
    });
  const stop = (): void =>
    void doing.run(async () => {
      ended.value = decodeRecording(await call('DELETE', path));
      await room.refresh();
    });
  const busy = doing.busy.value;
  return (
    <section class="card-panel record-panel" aria-labelledby="record-title">
      <h2 id="record-title">Recording</h2>
      <Rule room={room} rule={rule} />
      <div class="record-now">
        {running && (
          <p class="record-clock">
            <span class="dot" aria-hidden="true" />
            <a href={pathOf({ at: 'recording', id: running.id })}>Recording</a>
            {running.startedMs !== null && <span>{elapsed(room.nowMs.value - running.startedMs)}</span>}
          </p>
        )}
        {running && (
          <button type="button" class="button danger" onClick={stop} disabled={busy}>
            Stop recording
          </button>
        )}
        {!running && isLive && rule !== 'never' && (
          <>
            <button type="button" class="button" onClick={begin(0)} disabled={busy}>
              Record now
            </button>
            <button type="button" class="button" onClick={begin(BACK_S)} disabled={busy}>
              Record from 5 min ago
            </button>
          </>
        )}
        <p class="hint" role="status">
          {running && <span class="unseen">It is being recorded.</span>}
          {!running && ended.value && (
            <>
              Stopped. <a href={pathOf({ at: 'recording', id: ended.value.id })}>Open the recording</a>
            </>
          )}
        </p>
        <a class="record-all" href={`/dashboard/recordings${writeWanted({ ...ANY, stream: room.name })}`}>
          Its recordings
        </a>
      </div>
      <Fault doing={doing} />
    </section>
  );
}

function Rule({ room, rule }: { room: Room; rule: RecordRule }) {
  const chosen = useSignal<RecordRule | null>(null);
  const saved = useSignal(false);
  const doing = useDoing();
  const now = chosen.value ?? rule;
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    saved.value = await doing.run(async () => {
      room.take(await call('PATCH', streamPath(room.name), { record: now }));
      chosen.value = null;
    });
  };
  return (
    <form class="record-rule" onSubmit={(event) => void submit(event)}>
      <label class="field">
        <span class="unseen">When this stream is recorded</span>
        <select
          value={now} aria-describedby="record-hint" onChange={(event) => {
            chosen.value = event.currentTarget.value as RecordRule;
            saved.value = false;
          }}
        >
          <option value="always">Always</option>
          <option value="request">When asked</option>
          <option value="never">Never</option>
        </select>
      </label>
      {now !== rule && (
        <button type="submit" class="button primary" disabled={doing.busy.value}>
          {doing.busy.value ? 'Saving…' : 'Save'}
        </button>
      )}
      <span id="record-hint" class="hint">
        {ruleMeans(now)}
      </span>
      <span role="status" class="hint">
        {saved.value && now === rule && 'Saved.'}
      </span>
      <Fault doing={doing} />
    </form>
  );
}
