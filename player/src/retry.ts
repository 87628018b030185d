/** When a player tries again after trouble. The live player and the one of recordings share it. */

/** Milliseconds on any clock that never runs back; they are only compared. */
export type Millis = number;

/** So much good playing and the next trouble counts as the first. */
export const STEADY_MS = 10_000;
/** A decoder that breaks again this soon after a reset gets a new engine instead of another reset. */
export const RECOVER_AGAIN_MS = 5_000;
/** The first attempts keep the engine, and with it the picture on screen. */
export const RESUMES = 2;
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 8_000;

/**
 * Wait before attempt number `attempts` (0 first). Doubles to 8 s; `chance` (0 to 1) spreads it by a fifth either
 * way, so that a thousand viewers of a restarted server do not come back in one moment.
 */
export function retryDelay(attempts: number, chance: number): Millis {
  return Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(attempts, 10)) * (0.8 + 0.4 * chance);
}
