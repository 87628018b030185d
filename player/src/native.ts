/**
 * The browser's own HLS behind the `Engine` face: for browsers without Media Source. The browser chooses the rung and
 * keeps the delay by itself, so there is no ladder to report.
 */
import type { Engine, Report, VodEngine } from './engine.ts';

/** How far behind the end of the seekable range such players start by themselves. */
const EDGE_S = 1.5;

export function openNative(video: HTMLVideoElement, url: string, report: Report): Engine & VodEngine {
  const failed = (): void => {
    const code = video.error?.code;
    if (code === MediaError.MEDIA_ERR_DECODE) report({ type: 'broken' });
    // The element does not tell a missing playlist from a missing network: the server is asked.
    else report({ type: 'gone' });
  };
  video.addEventListener('error', failed);
  video.src = url;
  video.load();

  const edge = (): number | null => (video.seekable.length ? video.seekable.end(video.seekable.length - 1) : null);
  return {
    resume: () => reload(video),
    recover: () => reload(video),
    goLive() {
      const end = edge();
      if (end !== null) video.currentTime = Math.max(0, end - EDGE_S);
    },
    choose() {},
    showing: () => null,
    earliest: () => (video.seekable.length ? video.seekable.start(0) : 0),
    behindEdge() {
      const end = edge();
      return end === null ? null : Math.max(0, end - video.currentTime);
    },
    // The browser keeps its own delay.
    target: () => null,
    pictureTime() {
      const start = (video as HTMLVideoElement & { getStartDate?: () => Date }).getStartDate?.().getTime();
      return start !== undefined && Number.isFinite(start) ? start + video.currentTime * 1000 : null;
    },
    destroy() {
      video.removeEventListener('error', failed);
      video.removeAttribute('src');
      video.load();
    },
  };
}

function reload(video: HTMLVideoElement): void {
  video.load();
  void video.play().catch(() => undefined);
}
