/** The player of a recording: picture, words over it, seek bar, controls, keyboard. */
import '../chrome/elements.ts';
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { carryOut, focusOf } from '../commands.ts';
import { Pace } from '../marks.tsx';
import { Menu } from '../menu.tsx';
import { Over } from '../over.tsx';
import { Quality } from '../quality.tsx';
import type { Chapter } from '../recordings/chapter.ts';
import { stamp } from '../recordings/time.ts';
import { Still } from '../still.tsx';
import { vodWish, type VodWish } from './keys.ts';
import { Seek } from './seek.tsx';
import { SPEEDS, type VodViewer } from './viewer.ts';

export interface VodScreenProps {
  readonly viewer: VodViewer;
  /** Path of the picture shown before the first one of its own. */
  readonly poster: string;
  /** It still runs: its end is where the newest picture is. */
  readonly growing: boolean;
  /** It still runs, or has hardly ended: there may be more small pictures of it later. */
  readonly changing: boolean;
  /** Marked on the bar. */
  readonly chapters: readonly Chapter[];
  /** It begins without sound. */
  readonly muted?: boolean;
  /** Leaves the past of a live; there is no live to go to without. */
  readonly onLive?: () => void;
  /** One thing among others on its page, so it hears keys only while it has the focus. */
  readonly preview?: boolean;
}

export function VodScreen({ viewer, poster, growing, changing, chapters, muted, onLive, preview }: VodScreenProps) {
  const root = useRef<HTMLElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const still = useRef<HTMLCanvasElement>(null);
  const isGrowing = useRef(growing);
  isGrowing.current = growing;
  const held = useSignal(false);

  useEffect(() => {
    if (!video.current || !still.current) return;
    viewer.begin(video.current, still.current);
    const onKeyDown = (event: KeyboardEvent): void => {
      const onSeekBar = event.target instanceof Element && event.target.matches('.seek-field');
      const asked = vodWish(event, onSeekBar ? 'seek' : focusOf(event.target));
      if (!asked || event.defaultPrevented || !video.current || !root.current) return;
      event.preventDefault();
      obey(asked, viewer, isGrowing.current, video.current, root.current);
    };
    const heard: EventTarget = preview && root.current ? root.current : window;
    heard.addEventListener('keydown', onKeyDown as EventListener);
    return () => {
      heard.removeEventListener('keydown', onKeyDown as EventListener);
      viewer.end();
    };
  }, [viewer]);

  return (
    <media-controller
      ref={root} class={viewer.words.value ? 'screen talking' : 'screen'} nohotkeys nomutedpref autohide="2.5" defaultstreamtype="on-demand"
    >
      <video ref={video} slot="media" playsInline muted={muted ?? false} poster={poster} />
      <Still shown={viewer.still.value} canvas={still} />
      <Over viewer={viewer} />
      <media-control-bar class="bar vod-bar" noautohide={held.value}>
        <Seek viewer={viewer} changing={changing} chapters={chapters} held={held} />
        <media-play-button />
        <media-mute-button />
        <media-volume-range class="wide-only" />
        {onLive && (
          <button type="button" class="control live" onClick={onLive} aria-label="Back to live" title="Back to live">
            <span class="dot" aria-hidden="true" />
            Back to live
          </button>
        )}
        <Place viewer={viewer} />
        <span class="gap" />
        <media-captions-button />
        <Speed viewer={viewer} />
        <Quality viewer={viewer} />
        <media-pip-button class="wide-only" />
        <media-fullscreen-button />
      </media-control-bar>
    </media-controller>
  );
}

function Place({ viewer }: { viewer: VodViewer }) {
  if (viewer.rewinds) return <span class="place">−{stamp(Math.max(0, viewer.length.value - viewer.time.value))}</span>;
  return (
    <span class="place">
      {stamp(viewer.time.value)}
      <span class="wide-only"> / {stamp(viewer.length.value)}</span>
    </span>
  );
}

function Speed({ viewer }: { viewer: VodViewer }) {
  const speed = viewer.speed.value;
  return (
    <Menu
      name="Speed" class="speed" mark={<Pace />} now={speedLabel(speed)} says={`Speed: ${speedLabel(speed)}`}
      choices={SPEEDS.map((value) => ({ value, label: speedLabel(value), note: value === 1 ? 'normal' : undefined }))} chosen={speed}
      onChoose={(value) => viewer.setSpeed(value)}
    />
  );
}

function speedLabel(speed: number): string {
  return `${speed}×`;
}

function obey(asked: VodWish, viewer: VodViewer, growing: boolean, video: HTMLVideoElement, root: HTMLElement): void {
  switch (asked.do) {
    case 'seek':
      return viewer.seek(asked.by);
    case 'go_to':
      return viewer.goToPart(asked.part, growing);
    default:
      return carryOut(asked, viewer, video, root);
  }
}
