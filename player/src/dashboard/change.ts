/** The settings of a stream as its form holds them, and the change to send for what was edited. Pure. */
import type { Visibility } from '../recordings/shape.ts';
import type { Latency, Slate, Stream, Takeover } from './shapes.ts';

export interface Settings {
  readonly title: string;
  readonly ladder: 'default' | 'none' | 'own';
  /** The rungs, when `ladder` is `own`. */
  readonly rungs: string;
  readonly passthrough: boolean;
  readonly latency: Latency;
  readonly window: 'default' | 'own';
  /** Seconds as typed, when `window` is `own`. */
  readonly windowS: string;
  readonly takeover: Takeover | 'default';
  readonly slate: Slate;
  readonly visibility: Visibility;
}

export const TITLE_MAX = 200;
export const WINDOW_MAX_S = 300;
const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;

export function settingsOf(stream: Stream): Settings {
  const own = stream.ladder !== null && stream.ladder !== 'none';
  return {
    title: stream.title,
    ladder: stream.ladder === null ? 'default' : own ? 'own' : 'none',
    rungs: own ? (stream.ladder ?? '') : '',
    passthrough: stream.passthrough,
    latency: stream.latency,
    window: stream.reconnectWindowS === null ? 'default' : 'own',
    windowS: stream.reconnectWindowS === null ? '' : String(stream.reconnectWindowS),
    takeover: stream.takeover ?? 'default',
    slate: stream.slate,
    visibility: stream.visibility,
  };
}

/** What is wrong with it, in a sentence; null when it can be sent. */
export function fault(settings: Settings): string | null {
  if (settings.ladder === 'own' && !settings.rungs.trim()) return 'Write the rungs, such as 720p:2800k,480p:1200k.';
  if (settings.window === 'own') {
    const seconds = settings.windowS.trim();
    if (!/^\d+$/.test(seconds) || Number(seconds) > WINDOW_MAX_S) return `The reconnect window is 0 to ${WINDOW_MAX_S} whole seconds.`;
  }
  return null;
}

/** Only what differs from the stream, in the API's words; empty when nothing does. */
export function changes(stream: Stream, settings: Settings): Record<string, unknown> {
  const was = wire(settingsOf(stream));
  return Object.fromEntries(Object.entries(wire(settings)).filter(([name, value]) => value !== was[name]));
}

function wire(settings: Settings): Record<string, unknown> {
  return {
    title: settings.title.trim(),
    ladder: settings.ladder === 'own' ? settings.rungs.trim() : settings.ladder,
    passthrough: settings.passthrough,
    latency: settings.latency,
    reconnect_window_s: settings.window === 'own' ? Number(settings.windowS) : null,
    takeover: settings.takeover === 'default' ? null : settings.takeover,
    slate: settings.slate,
    visibility: settings.visibility,
  };
}

/** A name as it is typed becomes one a stream can have: small letters, `-` for a space; what cannot be stays and is told of. */
export function tidyName(typed: string): string {
  return typed.toLowerCase().replace(/\s+/g, '-');
}

export function nameFault(name: string): string | null {
  if (NAME.test(name)) return null;
  return 'A name has 1 to 63 small letters, digits, - and _, and begins with a letter or a digit.';
}
