/** The player itself: picture, words over it, controls, keyboard. The watch page and the embed page both show one. */
import './chrome/elements.ts';
import type { RefObject } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { shortDelay } from './clock.ts';
import { wish, type Wish } from './keys.ts';
import { Play, SoundOff } from './marks.tsx';
import { Quality } from './quality.tsx';
import type { Viewer } from './viewer.ts';

/** `preview`: one thing among others on its page, so it begins without sound and hears keys only while it has the focus. */
export function Screen({ viewer, preview }: { viewer: Viewer; preview?: boolean }) {
  const root = useRef<HTMLElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const still = useRef<HTMLCanvasElement>(null);

  useEffect(() => {
    if (!video.current || !still.current) return;
    viewer.begin(video.current, still.current);
    const onKeyDown = (event: KeyboardEvent): void => {
      const asked = wish(event, focusOf(event.target));
      if (!asked || event.defaultPrevented || !video.current || !root.current) return;
      event.preventDefault();
      carryOut(asked, viewer, video.current, root.current);
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
      <video ref={video} slot="media" playsInline muted={preview ?? false} poster={`/live/${viewer.name}/thumb.jpg`} />
      <Still viewer={viewer} canvas={still} />
      <Over viewer={viewer} />
      <Sound viewer={viewer} />
      <media-control-bar class="bar">
        <media-play-button />
        <media-mute-button />
        <media-volume-range class="wide-only" />
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

function Still({ viewer, canvas }: { viewer: Viewer; canvas: RefObject<HTMLCanvasElement | null> }) {
  return <canvas ref={canvas} slot="top-chrome" noautohide class={viewer.still.value ? 'still shown' : 'still'} aria-hidden="true" />;
}

/** Words for what is not playing, the wheel for what is about to, a button for what needs the viewer. */
function Over({ viewer }: { viewer: Viewer }) {
  const words = viewer.words.value;
  if (words) {
    return (
      <div slot="centered-chrome" noautohide class="over" role="status">
        <div class="words">
          {words.busy && <span class="pulse" aria-hidden="true" />}
          <h2>{words.title}</h2>
          <p>{words.detail}</p>
          {words.button && (
            <button type="button" class="pill" onClick={() => viewer.retry()}>
              {words.button}
            </button>
          )}
        </div>
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

function Sound({ viewer }: { viewer: Viewer }) {
  if (!viewer.silenced.value || viewer.words.value) return null;
  return (
    <button slot="top-chrome" noautohide type="button" class="pill sound" onClick={() => viewer.unmute()}>
      <SoundOff /> Turn sound on
    </button>
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

function focusOf(target: EventTarget | null): 'page' | 'button' | 'slider' {
  if (!(target instanceof Element)) return 'page';
  if (target.closest('media-volume-range, input, textarea, select')) return 'slider';
  return target.closest('button, a, summary, [role=button], media-play-button, media-mute-button, media-captions-button, media-pip-button, media-fullscreen-button')
    ? 'button'
    : 'page';
}

function carryOut(asked: Wish, viewer: Viewer, video: HTMLVideoElement, root: HTMLElement): void {
  // media-chrome's buttons know the browsers' ways into full screen and picture in picture, so they are pressed.
  const press = (button: string): void => root.querySelector<HTMLElement>(button)?.click();
  switch (asked.do) {
    case 'toggle_play':
      return viewer.togglePlay();
    case 'toggle_mute':
      if (video.muted) viewer.unmute();
      else video.muted = true;
      return;
    case 'toggle_fullscreen':
      return press('media-fullscreen-button');
    case 'toggle_captions':
      return press('media-captions-button');
    case 'toggle_pip':
      return press('media-pip-button');
    case 'go_live':
      return viewer.goLive();
    case 'seek':
      return viewer.seek(asked.by);
    case 'volume':
      video.volume = Math.min(1, Math.max(0, video.volume + asked.by));
      if (asked.by > 0 && video.muted) viewer.unmute();
      return;
  }
}
