/** Cutting a clip: its start and end are typed, or taken from where the player stands. */
import { useSignal, type Signal } from '@preact/signals';
import { decodeRecording, lengthOf, titleOf, type Recording } from '../recordings/shape.ts';
import { exactStamp, spoken } from '../recordings/time.ts';
import type { VodViewer } from '../vod/viewer.ts';
import { Fault, useDoing } from './act.tsx';
import { TITLE_MAX } from './change.ts';
import { call, recordingPath } from './client.ts';
import { cutOf } from './clip.ts';
import { pathOf } from './route.ts';

/** `viewer`: null while there is no player. */
export function ClipMaker({ recording, viewer }: { recording: Recording; viewer: VodViewer | null }) {
  const start = useSignal('');
  const end = useSignal('');
  const title = useSignal('');
  const made = useSignal<Recording | null>(null);
  const doing = useDoing();
  const length_s = viewer?.length.value || lengthOf(recording, Date.now());
  const cut = cutOf(start.value, end.value, length_s);
  const isBegun = start.value.trim() !== '' && end.value.trim() !== '';
  const submit = (event: Event): void => {
    event.preventDefault();
    made.value = null;
    void doing.run(async () => {
      if ('fault' in cut) throw new Error(cut.fault);
      const name = title.value.trim();
      const asked = { start_s: cut.startS, end_s: cut.endS, ...(name && { title: name }) };
      made.value = decodeRecording(await call('POST', recordingPath(recording.id, '/clips'), asked));
      start.value = end.value = title.value = '';
    });
  };
  return (
    <section class="block" aria-labelledby="clip-title">
      <h2 id="clip-title" class="small-head">
        Cut a clip
      </h2>
      <form class="card-panel settings clip-form" onSubmit={submit} noValidate>
        <div class="clip-times">
          <Time label="Start" here="Start here" time={start} viewer={viewer} />
          <Time label="End" here="End here" time={end} viewer={viewer} />
        </div>
        <p class="hint" role="status">
          {!isBegun && 'Play to where the clip begins and press “Start here”, then the same for its end. Times may be typed as well.'}
          {isBegun && ('fault' in cut ? cut.fault : `The clip will be ${spoken(cut.endS - cut.startS)} long, or a little more: it is cut between whole segments.`)}
        </p>
        <label class="field">
          <span class="field-name">Title of the clip, if not the same</span>
          <input value={title.value} maxLength={TITLE_MAX} autocomplete="off" onInput={(event) => (title.value = event.currentTarget.value)} />
        </label>
        <Fault doing={doing} />
        <div class="buttons">
          <button type="submit" class="button primary" disabled={doing.busy.value || !isBegun || 'fault' in cut}>
            {doing.busy.value ? 'Cutting…' : 'Make clip'}
          </button>
          <span role="status" class="hint">
            {made.value && (
              <>
                Made, {spoken(made.value.durationMs / 1000)} long: <a href={pathOf({ at: 'recording', id: made.value.id })}>{titleOf(made.value)}</a>
              </>
            )}
          </span>
        </div>
      </form>
    </section>
  );
}

function Time({ label, here, time, viewer }: { label: string; here: string; time: Signal<string>; viewer: VodViewer | null }) {
  return (
    <div class="clip-time">
      <label class="field">
        <span class="field-name">{label}</span>
        <input
          value={time.value} placeholder="0:00" inputMode="text" autocomplete="off" spellcheck={false}
          onInput={(event) => (time.value = event.currentTarget.value)}
        />
      </label>
      {viewer && (
        <button type="button" class="button" onClick={() => (time.value = exactStamp(viewer.time.value))}>
          {here}
        </button>
      )}
    </div>
  );
}
