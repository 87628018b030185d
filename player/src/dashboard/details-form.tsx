/** What is said of a recording. Edits stay until they are saved or discarded, whatever the server says meanwhile. */
import { useSignal } from '@preact/signals';
import { VISIBILITIES, type Recording, type Visibility } from '../recordings/shape.ts';
import { Fault, useDoing } from './act.tsx';
import { TITLE_MAX } from './change.ts';
import { call, recordingPath } from './client.ts';
import { DESCRIPTION_MAX, detailsChange, detailsFault, detailsOf, type Details } from './details.ts';
import { visibilityMeans, visibilityWord } from './said-recording.ts';

export function DetailsForm({ recording, take }: { recording: Recording; take: (body: unknown) => void }) {
  const edits = useSignal<Partial<Details>>({});
  const saved = useSignal(false);
  const doing = useDoing();
  const now: Details = { ...detailsOf(recording), ...edits.value };
  const change = detailsChange(recording, now);
  const isDirty = Object.keys(change).length > 0;
  const edit = (part: Partial<Details>): void => {
    edits.value = { ...edits.value, ...part };
    saved.value = false;
  };
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    saved.value = await doing.run(async () => {
      const wrong = detailsFault(now);
      if (wrong) throw new Error(wrong);
      take(await call('PATCH', recordingPath(recording.id), change));
      edits.value = {};
    });
  };
  return (
    <form class="card-panel settings details-form" onSubmit={(event) => void submit(event)} noValidate>
      <label class="field">
        <span class="field-name">Title</span>
        <input value={now.title} maxLength={TITLE_MAX} autocomplete="off" onInput={(event) => edit({ title: event.currentTarget.value })} />
      </label>
      <label class="field">
        <span class="field-name">Description</span>
        <textarea
          rows={5} value={now.description} maxLength={DESCRIPTION_MAX} onInput={(event) => edit({ description: event.currentTarget.value })}
        />
      </label>
      <label class="field">
        <span class="field-name">Tags</span>
        <input
          value={now.tags} autocomplete="off" placeholder="Jazz, Live" aria-describedby="tags-hint"
          onInput={(event) => edit({ tags: event.currentTarget.value })}
        />
        <span id="tags-hint" class="hint">
          With commas between them.
        </span>
      </label>
      <label class="field">
        <span class="field-name">Visibility</span>
        <select
          value={now.visibility} aria-describedby="visibility-hint" onChange={(event) => edit({ visibility: event.currentTarget.value as Visibility })}
        >
          {VISIBILITIES.map((each) => (
            <option key={each} value={each}>
              {visibilityWord(each)}
            </option>
          ))}
        </select>
        <span id="visibility-hint" class="hint">
          {visibilityMeans(now.visibility)}
        </span>
      </label>
      <label class="field">
        <span class="field-name">Chapters</span>
        <textarea
          rows={4} value={now.chapters} spellcheck={false} placeholder={'0:00 Doors\n4:30 First song'} aria-describedby="chapters-hint"
          onInput={(event) => edit({ chapters: event.currentTarget.value })}
        />
        <span id="chapters-hint" class="hint">
          A line each: where it begins, and its name.
        </span>
      </label>
      <Fault doing={doing} />
      <div class="buttons">
        <button type="submit" class="button primary" disabled={!isDirty || doing.busy.value}>
          {doing.busy.value ? 'Saving…' : 'Save details'}
        </button>
        {isDirty && (
          <button type="button" class="button" onClick={() => (edits.value = {})}>
            Discard
          </button>
        )}
        <span role="status" class="hint">
          {saved.value && !isDirty && 'Saved.'}
        </span>
      </div>
    </form>
  );
}
