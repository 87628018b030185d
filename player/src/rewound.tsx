/** The past of a live in the place of the live player; loaded when somebody rewinds. */
import './vod/vod.css';
import { useMemo } from 'preact/hooks';
import { probe } from './api.ts';
import { VodScreen } from './vod/screen.tsx';
import { VodViewer } from './vod/viewer.ts';

/** So far back it begins, seconds. */
const BACK_S = 30;

export interface RewoundProps {
  readonly name: string;
  /** What opens a private stream. */
  readonly ticket: string | null;
  /** Path of the newest picture. */
  readonly poster: string;
  /** Path of the playlist. */
  readonly hls: string;
  readonly muted: boolean;
  /** The viewer wants to be live again, or there is no past any more. */
  readonly onLive: () => void;
}

export default function Rewound({ name, ticket, poster, hls, muted, onLive }: RewoundProps) {
  const viewer = useMemo(
    () => new VodViewer({ hls, from_s: BACK_S, rewinds: true, length_s: 0, autoplay: true, exists: () => isOn(name, ticket, onLive) }),
    [name, hls],
  );
  return <VodScreen viewer={viewer} poster={poster} growing changing chapters={[]} muted={muted} onLive={onLive} />;
}

/** What is over is for the live player to say. */
async function isOn(name: string, ticket: string | null, onOver: () => void): Promise<boolean> {
  const seen = await probe(name, ticket);
  if (seen.is !== 'unreachable' && !(seen.is === 'live' && seen.stream.rewind)) onOver();
  return true;
}
