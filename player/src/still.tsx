/** The last picture, kept on screen while there is no engine. */
import type { RefObject } from 'preact';

export function Still({ shown, canvas }: { shown: boolean; canvas: RefObject<HTMLCanvasElement | null> }) {
  return <canvas ref={canvas} slot="top-chrome" noautohide class={shown ? 'still shown' : 'still'} aria-hidden="true" />;
}

/** Draws what is on screen; false when there is nothing to draw. */
export function keepStill(video: HTMLVideoElement | null, canvas: HTMLCanvasElement | null): boolean {
  if (!video || !canvas || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA || !video.videoWidth) return false;
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext('2d')?.drawImage(video, 0, 0);
  return true;
}
