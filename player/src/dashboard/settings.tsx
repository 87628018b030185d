/** What can be set on a stream. Edits stay until they are saved or discarded, whatever the server says meanwhile. */
import { useSignal } from '@preact/signals';
import { Fault, useDoing } from './act.tsx';
import { changes, fault, settingsOf, TITLE_MAX, WINDOW_MAX_S, type Settings } from './change.ts';
import { call, streamPath } from './client.ts';
import { VISIBILITIES } from '../recordings/shape.ts';
import type { Room } from './room.ts';
import { visibilityWord } from './said-recording.ts';
import { watchMeans } from './said.ts';
import type { Stream } from './shapes.ts';

export function SettingsForm({ room, stream }: { room: Room; stream: Stream }) {
  const edits = useSignal<Partial<Settings>>({});
  const saved = useSignal(false);
  const doing = useDoing();
  const now: Settings = { ...settingsOf(stream), ...edits.value };
  const change = changes(stream, now);
  const isDirty = Object.keys(change).length > 0;
  const edit = (part: Partial<Settings>): void => {
    edits.value = { ...edits.value, ...part };
    saved.value = false;
  };
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    saved.value = await doing.run(async () => {
      const wrong = fault(now);
      if (wrong) throw new Error(wrong);
      room.take(await call('PATCH', streamPath(stream.name), change));
      edits.value = {};
    });
  };
  return (
    <form class="card-panel settings" onSubmit={(event) => void submit(event)} noValidate>
      <label class="field">
        <span class="field-name">Title</span>
        <input value={now.title} maxLength={TITLE_MAX} autocomplete="off" onInput={(event) => edit({ title: event.currentTarget.value })} />
      </label>
      <label class="field">
        <span class="field-name">Visibility</span>
        <select
          value={now.visibility} aria-describedby="set-visibility-hint"
          onChange={(event) => edit({ visibility: event.currentTarget.value as Settings['visibility'] })}
        >
          {VISIBILITIES.map((each) => (
            <option key={each} value={each}>
              {visibilityWord(each)}
            </option>
          ))}
        </select>
        <span id="set-visibility-hint" class="hint">
          {watchMeans(now.visibility)} Counts at once.
        </span>
      </label>
      <div class="field">
        <label class="field-name" for="set-ladder">
          Renditions
        </label>
        <select id="set-ladder" value={now.ladder} onChange={(event) => edit({ ladder: event.currentTarget.value as Settings['ladder'] })}>
          <option value="default">The server's ladder</option>
          <option value="none">The source alone</option>
          <option value="own">A ladder of its own</option>
        </select>
        {now.ladder === 'own' && (
          <input
            value={now.rungs} aria-label="Rungs of its own ladder" placeholder="720p:2800k,480p:1200k" spellcheck={false}
            autocapitalize="off" onInput={(event) => edit({ rungs: event.currentTarget.value })}
          />
        )}
        <span class="hint">Counts from the next session on.</span>
      </div>
      <label class="check">
        <input type="checkbox" checked={now.passthrough} onChange={(event) => edit({ passthrough: event.currentTarget.checked })} />
        <span>
          Pass the source on without encoding when it fits
          <span class="hint">Full quality, hardly any processor time. From the next session on.</span>
        </span>
      </label>
      <div class="field">
        <label class="field-name" for="set-latency">
          Latency
        </label>
        <select
          id="set-latency" value={now.latency} onChange={(event) => edit({ latency: event.currentTarget.value as Settings['latency'] })}
        >
          <option value="low">Low: one to three seconds</option>
          <option value="standard">Standard: about ten seconds, steadier on poor lines</option>
        </select>
        <span class="hint">Counts from the next session on.</span>
      </div>
      <div class="field">
        <label class="field-name" for="set-window">
          Reconnect window
        </label>
        <span class="field-row">
          <select
            id="set-window" value={now.window} onChange={(event) => edit({ window: event.currentTarget.value as Settings['window'] })}
          >
            <option value="default">The server's</option>
            <option value="own">Its own</option>
          </select>
          {now.window === 'own' && (
            <>
              <input
                class="short" inputMode="numeric" value={now.windowS} aria-label={`Seconds, 0 to ${WINDOW_MAX_S}`}
                onInput={(event) => edit({ windowS: event.currentTarget.value })}
              />
              <span>seconds</span>
            </>
          )}
        </span>
        <span class="hint">So long the stream waits for an encoder whose connection was lost. 0 ends it at once.</span>
      </div>
      <label class="field">
        <span class="field-name">When a second encoder comes with a good key</span>
        <select value={now.takeover} onChange={(event) => edit({ takeover: event.currentTarget.value as Settings['takeover'] })}>
          <option value="default">As the server does</option>
          <option value="newest">The newest takes over</option>
          <option value="reject">The one that is live stays</option>
        </select>
      </label>
      <label class="field">
        <span class="field-name">Slate, while the encoder is away</span>
        <select value={now.slate} onChange={(event) => edit({ slate: event.currentTarget.value as Settings['slate'] })}>
          <option value="last">The last picture</option>
          <option value="image">Own image</option>
          <option value="off">None: viewers wait</option>
        </select>
        {now.slate === 'image' && !stream.slateImage && <span class="hint">There is no image yet: choose one below.</span>}
      </label>
      <Fault doing={doing} />
      <div class="buttons">
        <button type="submit" class="button primary" disabled={!isDirty || doing.busy.value}>
          {doing.busy.value ? 'Saving…' : 'Save settings'}
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
