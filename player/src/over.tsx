/** What lies over the picture: words for what is not playing, the wheel for what is about to, buttons for what needs the viewer. */
import type { ReadonlySignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import type { Commanded } from './commands.ts';
import { Play, SoundOff } from './marks.tsx';
import type { Words } from './words.ts';

/** The player whose picture it is. */
export interface Shown extends Commanded {
  /** Null while the picture speaks for itself. */
  readonly words: ReadonlySignal<Words | null>;
  /** It waits for the viewer to press play. */
  readonly blocked: ReadonlySignal<boolean>;
  /** Begins anew when only the viewer can go on. */
  retry(): void;
}

export function Over({ viewer }: { viewer: Shown }) {
  const words = viewer.words.value;
  if (words) {
    return (
      <div slot="centered-chrome" noautohide class="over" role="status">
        <Said words={words}>
          {words.button && (
            <button type="button" class="pill" onClick={() => viewer.retry()}>
              {words.button}
            </button>
          )}
        </Said>
      </div>
    );
  }
  if (viewer.blocked.value) {
    return (
      <button slot="centered-chrome" noautohide type="button" class="start" aria-label="Play" onClick={() => viewer.togglePlay()}>
        <Play />
      </button>
    );
  }
  return <media-loading-indicator slot="centered-chrome" noautohide loadingdelay="400" />;
}

/** The words themselves. */
export function Said({ words, children }: { words: Words; children?: ComponentChildren }) {
  return (
    <div class="words">
      {words.busy && <span class="pulse" aria-hidden="true" />}
      <h2>{words.title}</h2>
      <p>{words.detail}</p>
      {children}
    </div>
  );
}

export function Sound({ viewer }: { viewer: Shown & { readonly silenced: ReadonlySignal<boolean> } }) {
  if (!viewer.silenced.value || viewer.words.value) return null;
  return (
    <button slot="top-chrome" noautohide type="button" class="pill sound" onClick={() => viewer.unmute()}>
      <SoundOff /> Turn sound on
    </button>
  );
}
