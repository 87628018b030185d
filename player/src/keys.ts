/** The keyboard: which key asks for what. Pure; `screen.tsx` and `commands.ts` carry the wish out. */

/** What every player has. */
export type Command =
  | { do: 'toggle_play' | 'toggle_mute' | 'toggle_fullscreen' | 'toggle_captions' | 'toggle_pip' }
  /** Part of full volume, -1 to 1. */
  | { do: 'volume'; by: number };

export type Wish =
  | Command
  | { do: 'go_live' }
  /** Into the past, as far as the server kept it. */
  | { do: 'rewind' }
  /** Seconds forwards (negative: backwards). */
  | { do: 'seek'; by: number };

export interface Press {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly altKey: boolean;
  readonly metaKey: boolean;
}

export const SEEK_S = 5;
export const VOLUME = 0.05;

/** The keys as the help under the picture lists them. */
export const KEYS: ReadonlyArray<readonly [keys: string, does: string]> = [
  ['Space or K', 'play or pause'],
  ['M', 'sound on or off'],
  ['↑ ↓', 'louder, quieter'],
  ['← →', `${SEEK_S} s back, forwards`],
  ['J', 'rewind'],
  ['L', 'back to live'],
  ['F', 'full screen'],
  ['C', 'captions'],
  ['P', 'picture in picture'],
];

/**
 * The wish behind a key press, or null when the key is not ours. Keys held with Ctrl, Alt or Meta belong to the browser.
 * `slider`: the focus is on a slider, whose arrows are its own. `button`: it is on a button, whose space bar is.
 */
export function wish(press: Press, focus: 'page' | 'button' | 'slider'): Wish | null {
  if (press.ctrlKey || press.altKey || press.metaKey) return null;
  if (focus === 'slider' && press.key.startsWith('Arrow')) return null;
  if (focus === 'button' && press.key === ' ') return null;
  switch (press.key.length === 1 ? press.key.toLowerCase() : press.key) {
    case ' ':
    case 'k':
      return { do: 'toggle_play' };
    case 'm':
      return { do: 'toggle_mute' };
    case 'f':
      return { do: 'toggle_fullscreen' };
    case 'c':
      return { do: 'toggle_captions' };
    case 'p':
      return { do: 'toggle_pip' };
    case 'l':
      return { do: 'go_live' };
    case 'j':
      return { do: 'rewind' };
    case 'ArrowLeft':
      return { do: 'seek', by: -SEEK_S };
    case 'ArrowRight':
      return { do: 'seek', by: SEEK_S };
    case 'ArrowUp':
      return { do: 'volume', by: VOLUME };
    case 'ArrowDown':
      return { do: 'volume', by: -VOLUME };
    default:
      return null;
  }
}
