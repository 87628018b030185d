/**
 * Keeps a live viewer at the delay the stream asks for. Starting takes some tenths of a second in which the live edge
 * moves on; without correction a viewer stays that much behind for the whole show. (hls.js has such a correction, but
 * acts only with more than a second in the buffer, which a viewer at a hold-back of one second never has.)
 */

/** Faster or slower than this is heard. */
const RATE_MAX = 1.06;
const RATE_MIN = 0.93;
/** Correction begins and ends so far from the wanted delay; two bounds, so that it does not flutter. */
const BEGIN_S = 0.12;
const END_S = 0.03;
/** Seconds per second of lateness added to the rate: gentle near the goal. */
const GAIN = 0.15;
/** Behind by more, the viewer went back on purpose. */
const REWOUND_S = 3;
/** With less in the buffer, playing faster would end in a stall. */
const AHEAD_MIN_S = 0.4;

/**
 * The playback rate to use now. `behind_s`: from the newest media to the picture; `target_s`: what that should be;
 * `ahead_s`: media in the buffer after the picture; `rate`: the rate in use.
 */
export function pace(behind_s: number, target_s: number, ahead_s: number, rate: number): number {
  const late_s = behind_s - target_s;
  // Too near the edge for the change of rung that may come: let it move away.
  if (late_s < (rate < 1 ? -END_S : -BEGIN_S)) return Math.round(Math.max(RATE_MIN, 0.98 + late_s * GAIN) * 100) / 100;
  const correcting = rate > 1;
  if (late_s > REWOUND_S || ahead_s < AHEAD_MIN_S || late_s < (correcting ? END_S : BEGIN_S)) return 1;
  return Math.round(Math.min(RATE_MAX, 1.01 + late_s * GAIN) * 100) / 100;
}
