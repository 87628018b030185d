/**
 * What the viewer asks of whatever turns playlists into pictures. Two exist: `hls.ts` (hls.js over Media Source) and
 * `native.ts` (browsers which play HLS by themselves and have no Media Source, that is iPhones before iOS 17.1).
 */

export interface Rung {
  /** Handle for `choose`; stable for the life of the engine. */
  readonly id: number;
  /** As the menu shows it: `720p`, `1080p60`. */
  readonly label: string;
  /** The server's name of it; null when unknown. */
  readonly name: string | null;
  /** Highest rate announced, bits per second. */
  readonly bitrate_bps: number;
}

export type EngineFact =
  | { type: 'lost' | 'gone' | 'broken' }
  /** The playlist was closed. */
  | { type: 'closing' }
  | { type: 'unsupported'; reason: string }
  /** The ladder became known; highest rung first. */
  | { type: 'ladder'; rungs: readonly Rung[] };

export interface Engine {
  /** Asks for playlists and parts again after the engine gave up. */
  resume(): void;
  /** Resets the decoder in place. */
  recover(): void;
  /** Jumps to where a viewer who just came would start. */
  goLive(): void;
  /** Holds one rung; null lets the engine choose. */
  choose(id: number | null): void;
  /** The rung now on screen; null when unknown. */
  showing(): number | null;
  /** Seconds between the newest media the server lists and the picture; null when unknown. */
  behindEdge(): number | null;
  /** `behindEdge` as this stream means it to be, seconds; null when unknown or not ours to keep. */
  target(): number | null;
  /** Wall time at which the source of the picture on screen reached the server (milliseconds since 1970). */
  pictureTime(): number | null;
  destroy(): void;
}

/** What is asked of it for a recording, which has no edge to keep to. */
export type VodEngine = Pick<Engine, 'resume' | 'recover' | 'choose' | 'showing' | 'destroy'> & {
  /** The first time there is something of, seconds; it moves on where the past of a live goes at its beginning. */
  earliest(): number;
};

/** Where a recording begins to play: seconds from its start, or seconds before the newest that there is. */
export type VodStart = { readonly at_s: number } | { readonly behind_s: number };

export type Report = (fact: EngineFact) => void;

/** `720p`, with the frame rate when it is above film and television rates; portrait counts its short side. */
export function rungLabel(width: number, height: number, frameRate: number): string {
  const lines = Math.min(width || height, height);
  return `${lines}p${frameRate > 31 ? Math.round(frameRate) : ''}`;
}

/** Labels for a whole ladder: two rungs with the same lines are told apart by their rate. */
export function rungLabels(rungs: ReadonlyArray<{ width: number; height: number; frameRate: number; bitrate_bps: number }>): string[] {
  const plain = rungs.map((rung) => (rung.height ? rungLabel(rung.width, rung.height, rung.frameRate) : 'Sound only'));
  return plain.map((label, i) => {
    const twin = plain.some((other, j) => j !== i && other === label);
    const rate = rungs[i]?.bitrate_bps ?? 0;
    return twin ? `${label} ${(rate / 1e6).toFixed(1)} Mb/s` : label;
  });
}
