/** What stands over the seek bar while the viewer looks for a place: its time, and its picture where there is a storyboard. */
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { Shown, Story } from './story.ts';
import { fit, type Size } from './storyboard.ts';

/** As wide as `vod.css` makes the thumb: its middle goes from its half width to the same before the end of the bar. */
export const THUMB_PX = 22;
/** A picture takes no more than this part of the bar's length and of the player's height. */
const WIDE_PART = 1 / 3;
const HIGH_PART = 2 / 5;

export interface HintProps {
  readonly story: Story;
  /** Seconds from the start; null when the viewer looks for nothing. */
  readonly at_s: number | null;
  /** The chapter there. */
  readonly title: string | null;
  /** What the bar begins and ends with, seconds from the start. */
  readonly first_s: number;
  readonly last_s: number;
  /** How a time is written. */
  readonly label: (at_s: number) => string;
}

export function Hint({ story, at_s, title, first_s, last_s, label }: HintProps) {
  const root = useRef<HTMLDivElement>(null);
  const picture = useRef<HTMLDivElement>(null);
  const time = useRef<HTMLSpanElement>(null);
  const shown = at_s === null ? null : story.at(at_s);

  useEffect(() => {
    if (at_s !== null) story.bring(at_s);
  });
  // Through the object model: the page's policy refuses only styles that stand in markup.
  useLayoutEffect(() => {
    if (at_s === null || !root.current || !picture.current || !time.current) return;
    const { clientWidth: bar_px, parentElement } = root.current;
    const high_px = parentElement?.closest('.screen')?.clientHeight ?? 0;
    const length_s = last_s - first_s;
    const part = length_s > 0 ? Math.min(1, Math.max(0, at_s - first_s) / length_s) : 0;
    const x = THUMB_PX / 2 + part * (bar_px - THUMB_PX);
    place(time.current, x, time.current.offsetWidth, bar_px);
    if (!shown) return;
    const size = fit(shown.tile, { width: bar_px * WIDE_PART, height: high_px * HIGH_PART });
    draw(picture.current, shown, size);
    place(picture.current, x, size.width, bar_px);
  });

  return (
    <div class={at_s === null ? 'seek-hint' : 'seek-hint shown'} ref={root} aria-hidden="true">
      <div class={shown ? 'seek-picture shown' : 'seek-picture'} ref={picture} />
      <span class="seek-time" ref={time}>
        {label(at_s ?? 0)}
        {title !== null && <span class="seek-title">{title}</span>}
      </span>
    </div>
  );
}

/** With its middle at `x`, or as near to that as it stays on the bar. Moved by a transform, nothing is laid out anew. */
function place({ style }: HTMLElement, x: number, wide_px: number, bar_px: number): void {
  style.transform = `translateX(${Math.max(0, Math.min(Math.round(x - wide_px / 2), bar_px - wide_px))}px)`;
}

function draw({ style }: HTMLElement, { tile, sheet }: Shown, { width, height }: Size): void {
  const wide = width / tile.width;
  const high = height / tile.height;
  style.width = `${width}px`;
  style.height = `${height}px`;
  style.backgroundImage = sheet ? `url("${sheet.src}")` : '';
  style.backgroundSize = sheet ? `${sheet.naturalWidth * wide}px ${sheet.naturalHeight * high}px` : '';
  style.backgroundPosition = `${-tile.x * wide}px ${-tile.y * high}px`;
}
