/** Carries out what a key asks of any player, and tells where the focus is. */
import type { Command } from './keys.ts';

/** The player behind the picture. */
export interface Commanded {
  togglePlay(): void;
  /** The viewer's own wish: sound may begin now. */
  unmute(): void;
}

export function focusOf(target: EventTarget | null): 'page' | 'button' | 'slider' {
  if (!(target instanceof Element)) return 'page';
  if (target.closest('media-volume-range, input, textarea, select')) return 'slider';
  return target.closest('button, a, summary, [role=button], media-play-button, media-mute-button, media-captions-button, media-pip-button, media-fullscreen-button')
    ? 'button'
    : 'page';
}

export function carryOut(asked: Command, player: Commanded, video: HTMLVideoElement, root: HTMLElement): void {
  // media-chrome's buttons know the browsers' ways into full screen and picture in picture, so they are pressed.
  const press = (button: string): void => root.querySelector<HTMLElement>(button)?.click();
  switch (asked.do) {
    case 'toggle_play':
      return player.togglePlay();
    case 'toggle_mute':
      if (video.muted) player.unmute();
      else video.muted = true;
      return;
    case 'toggle_fullscreen':
      return press('media-fullscreen-button');
    case 'toggle_captions':
      return press('media-captions-button');
    case 'toggle_pip':
      return press('media-pip-button');
    case 'volume':
      video.volume = Math.min(1, Math.max(0, video.volume + asked.by));
      if (asked.by > 0 && video.muted) player.unmute();
      return;
  }
}
