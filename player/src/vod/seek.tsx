/** The seek bar: the whole length, what is loaded of it, and where the picture is. */
import { useSignal, type Signal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { chapterAt, type Chapter } from '../recordings/chapter.ts';
import { spoken, stamp } from '../recordings/time.ts';
import { Hint, THUMB_PX } from './hint.tsx';
import { vodWish } from './keys.ts';
import { serverSource } from './source.ts';
import { Story } from './story.ts';
import type { VodViewer } from './viewer.ts';

/** Units the bar is drawn in. */
const WIDE = 1_000;
/** So long after a key the place it led to is shown. */
const KEYED_MS = 1_500;

export interface SeekProps {
  readonly viewer: VodViewer;
  /** There may be more to see of it later, as it runs or was hardly ended. */
  readonly changing: boolean;
  readonly chapters: readonly Chapter[];
  /** Set while the viewer holds the thumb, moving or not. */
  readonly held: Signal<boolean>;
}

export function Seek({ viewer, changing, chapters, held }: SeekProps) {
  const field = useRef<HTMLInputElement>(null);
  const story = useMemo(() => new Story(serverSource(viewer.hls), () => viewer.first.value), [viewer]);
  /** Where the thumb is held by the viewer; null while it is not. */
  const dragged = useSignal<number | null>(null);
  const hovered = useSignal<number | null>(null);
  /** A key has just moved the thumb; how many did, so that each begins the time anew. */
  const keyed = useSignal(0);
  const first = viewer.first.value;
  const last = viewer.length.value;
  const length = last - first;
  const at = dragged.value ?? viewer.time.value;
  /** The place the viewer looks for. */
  const looking = dragged.value ?? hovered.value ?? (keyed.value > 0 ? at : null);
  const wide = (time_s: number): number => (length > 0 ? Math.min(1, Math.max(0, time_s - first) / length) * WIDE : 0);
  /** As it is read out and stands over the bar; in the past of a live, how long ago. */
  const said = (time_s: number): string => (viewer.rewinds ? `${spoken(last - time_s)} ago` : `${spoken(time_s)} of ${spoken(last)}`);

  useEffect(() => {
    if (keyed.value === 0) return;
    const timer = setTimeout(() => (keyed.value = 0), KEYED_MS);
    return () => clearTimeout(timer);
  }, [keyed.value]);

  const hover = (event: PointerEvent): void => {
    story.want(changing);
    const input = field.current?.getBoundingClientRect();
    if (!input || length <= 0) return;
    const part = (event.clientX - input.left - THUMB_PX / 2) / (input.width - THUMB_PX);
    hovered.value = first + Math.min(Math.max(0, part), 1) * length;
    keyed.value = 0;
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const asked = vodWish(event, 'seek')?.do;
    if (asked !== 'seek' && asked !== 'go_to') return;
    story.want(changing);
    // The pointer may rest on the bar; the key is what the viewer does now.
    hovered.value = null;
    keyed.value += 1;
  };
  /** Also when the pointer lets go: dragged back to where it began, the field has not changed and says nothing. */
  const drop = (): void => {
    held.value = false;
    if (dragged.value === null) return;
    viewer.goTo(dragged.value);
    dragged.value = null;
  };

  return (
    <div class="seek" onPointerEnter={hover} onPointerMove={hover} onPointerLeave={() => (hovered.value = null)}>
      <svg class="seek-track" viewBox={`0 0 ${WIDE} 1`} preserveAspectRatio="none" aria-hidden="true" focusable="false">
        <rect class="seek-ground" width={WIDE} height="1" />
        <rect class="seek-loaded" width={wide(viewer.buffered.value)} height="1" />
        <rect class="seek-played" width={wide(at)} height="1" />
        {chapters
          .filter(({ at_s }) => at_s > 0 && at_s < length)
          .map(({ at_s }) => (
            <line key={at_s} class="seek-mark" x1={wide(at_s)} x2={wide(at_s)} y1="0" y2="1" vector-effect="non-scaling-stroke" />
          ))}
      </svg>
      <input
        ref={field} class="seek-field" type="range" min={first} max={last} step="any" value={at} aria-label="Seek"
        aria-valuetext={said(at)}
        onInput={(event) => (dragged.value = event.currentTarget.valueAsNumber)} onChange={drop}
        onPointerDown={(event) => (held.value = event.button === 0)} onPointerUp={drop} onPointerCancel={drop} onLostPointerCapture={drop}
        onFocus={() => story.want(changing)} onBlur={() => (keyed.value = 0)} onKeyDown={onKeyDown}
      />
      <Hint
        story={story} at_s={looking} title={looking === null ? null : (chapterAt(chapters, looking)?.title ?? null)} first_s={first} last_s={last}
        label={(time_s) => (viewer.rewinds ? `−${stamp(Math.max(0, last - time_s))}` : stamp(time_s))}
      />
    </div>
  );
}
