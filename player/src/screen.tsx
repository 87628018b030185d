/** The player itself: picture, words over it, controls, keyboard. The watch page and the embed page both show one. */
import './chrome/elements.ts';
import { useEffect, useRef } from 'preact/hooks';
import { shortDelay } from './clock.ts';
import { carryOut, focusOf } from './commands.ts';
import { wish } from './keys.ts';
import { Back } from './marks.tsx';
import { Over, Sound } from './over.tsx';
import { Quality } from './quality.tsx';
import { Still } from './still.tsx';
import type { Viewer } from './viewer.ts';

export interface ScreenProps {
  readonly viewer: Viewer;
  /** It begins without sound. */
  readonly muted?: boolean;
  /** One thing among others on its page, so it begins without sound and hears keys only while it has the focus. */
  readonly preview?: boolean;
  /** Shows the past in the place of this; there is no way to it without. */
  readonly onRewind?: () => void;
}

export function Screen({ viewer, muted, preview, onRewind }: ScreenProps) {
  const root = useRef<HTMLElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const still = useRef<HTMLCanvasElement>(null);
  const rewind = viewer.stream.value?.rewind ? onRewind : undefined;
  const rewinds = useRef(rewind);
  rewinds.current = rewind;

  useEffect(() => {
    if (!video.current || !still.current) return;
    viewer.begin(video.current, still.current);
    const onKeyDown = (event: KeyboardEvent): void => {
      const asked = wish(event, focusOf(event.target));
      if (!asked || event.defaultPrevented || !video.current || !root.current) return;
      event.preventDefault();
      if (asked.do === 'go_live') viewer.goLive();
      else if (asked.do === 'seek') viewer.seek(asked.by);
      else if (asked.do === 'rewind') rewinds.current?.();
      else carryOut(asked, viewer, video.current, root.current);
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
      ref={root} class={viewer.words.value ? 'screen talking' : 'screen'} nohotkeys nomutedpref noautoseektolive autohide="2.5" defaultstreamtype="live"
    >
      <video ref={video} slot="media" playsInline muted={muted ?? preview ?? false} poster={viewer.poster} />
      <Still shown={viewer.still.value} canvas={still} />
      <Over viewer={viewer} />
      <Sound viewer={viewer} />
      <media-control-bar class="bar">
        <media-play-button />
        <media-mute-button />
        <media-volume-range class="wide-only" />
        {rewind && (
          <button type="button" class="control" onClick={rewind} aria-label="Rewind" title="Rewind (J)">
            <Back />
          </button>
        )}
        <Live viewer={viewer} />
        <span class="gap" />
        <media-captions-button />
        <Quality viewer={viewer} />
        <media-pip-button class="wide-only" />
        <media-fullscreen-button />
      </media-control-bar>
    </media-controller>
  );
}

function Live({ viewer }: { viewer: Viewer }) {
  const delay = viewer.delay.value;
  const live = viewer.atLive.value;
  if (viewer.playback.value.phase.kind !== 'playing') return null;
  return (
    <>
      <button
        type="button" class={live ? 'control live at-live' : 'control live'} onClick={() => viewer.goLive()}
        aria-label={live ? 'Live' : 'Back to live'} title={live ? 'You are watching live' : 'Back to live (L)'}
      >
        <span class="dot" aria-hidden="true" />
        {live ? 'Live' : 'Back to live'}
      </button>
      {delay !== null && (
        <output class="delay" title="From the streamer's server to your screen" aria-label={`Delay ${shortDelay(delay)}`}>
          {shortDelay(delay)}
        </output>
      )}
    </>
  );
}
