/**
 * The storyboard of a recording: which small picture shows which time of it. Reads the server's `storyboard.vtt`, whose cues
 * each name a part of a sprite sheet beside it (`storyboard-0.jpg#xywh=160,0,160,90`), and finds the picture of a time.
 * Pure. What cannot be read is left out, so that the worst storyboard is an empty one.
 */

/** A small picture on a sheet, and the time of the recording it stands for, in seconds. */
export interface Tile {
  readonly from_s: number;
  readonly until_s: number;
  /** File name of the sheet, which is in the storyboard's own folder. */
  readonly sheet: string;
  /** Its corner on the sheet and its size, pixels of the sheet. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** In the order of their times; no two begin at the same. */
export type Storyboard = readonly Tile[];

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** At ten seconds each, more than two days. What comes after is left out. */
export const TILES_MAX = 20_000;
/** A longer text is none of ours: this is twice what as many cues take. */
export const TEXT_MAX_CHARS = 3_000_000;
const TILE_MIN_PX = 16;
const TILE_MAX_PX = 640;
/** The largest picture every browser decodes. */
const SHEET_MAX_PX = 16_384;
/** The element's length of a recording and the server's differ by a segment's fraction; so far a picture holds on. */
const HOLD_S = 1;

const TIMING = /^(\S+)[ \t]+-->[ \t]+(\S+)(?:[ \t]|$)/;
const STAMP = /^(?:(\d{2,4}):)?([0-5]\d):([0-5]\d\.\d{3})$/;
/** A name has no slash, no colon and no escapes, so it leads to no other folder and no other server. */
const PART = /^([A-Za-z0-9][\w.-]{0,99}\.(?:jpe?g|png|webp|avif))#xywh=(?:pixel:)?(\d{1,5}),(\d{1,5}),(\d{1,3}),(\d{1,3})$/;

export function readStoryboard(text: string): Storyboard {
  if (text.length > TEXT_MAX_CHARS || !/^\uFEFF?WEBVTT(?!\S)/.test(text)) return [];
  const lines = text.split(/\r\n|\n|\r/);
  const tiles: Tile[] = [];
  for (let i = 1; i < lines.length && tiles.length < TILES_MAX; i += 1) {
    const tile = readTile(lines[i - 1] ?? '', lines[i] ?? '');
    if (tile && tile.from_s > (tiles.at(-1)?.from_s ?? -1)) tiles.push(tile);
  }
  return tiles;
}

/** The picture of this time, seconds; null where there is none. */
export function tileAt(board: Storyboard, at_s: number): Tile | null {
  let low = 0;
  let high = board.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((board[middle]?.from_s ?? Infinity) <= at_s) low = middle + 1;
    else high = middle;
  }
  const tile = board[low - 1];
  return tile && at_s < tile.until_s + HOLD_S ? tile : null;
}

/**
 * The same, with sheets by addresses that change as the sheets fill up (`storyboard-3.jpg?until=130000`). For a recording
 * that still runs: a browser asked for the same address again shows the picture it has.
 */
export function asOfNow(board: Storyboard): Storyboard {
  const until = new Map(board.map(({ sheet, until_s }) => [sheet, Math.round(until_s * 1_000)]));
  return board.map((tile) => ({ ...tile, sheet: `${tile.sheet}?until=${until.get(tile.sheet) ?? 0}` }));
}

/** The same, so many seconds later. */
export function moved(board: Storyboard, by_s: number): Storyboard {
  return board.map((tile) => ({ ...tile, from_s: tile.from_s + by_s, until_s: tile.until_s + by_s }));
}

/** As large as it is, or smaller in its own shape until it fits. Whole pixels, so that no edge of a neighbour shows. */
export function fit({ width, height }: Size, room: Size): Size {
  const scale = Math.min(1, room.width / width, room.height / height);
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

function readTile(timing: string, part: string): Tile | null {
  const times = TIMING.exec(timing);
  const place = times && PART.exec(part.trim());
  if (!place) return null;
  const from_s = readStamp(times[1]);
  const until_s = readStamp(times[2]);
  const [x = NaN, y = NaN, width = NaN, height = NaN] = place.slice(2).map(Number);
  const isSane = [width, height].every((side) => side >= TILE_MIN_PX && side <= TILE_MAX_PX)
    && x + width <= SHEET_MAX_PX && y + height <= SHEET_MAX_PX;
  if (from_s === null || until_s === null || from_s >= until_s || !isSane) return null;
  return { from_s, until_s, sheet: place[1] ?? '', x, y, width, height };
}

function readStamp(text = ''): number | null {
  const parts = STAMP.exec(text);
  return parts && Number(parts[1] ?? 0) * 3600 + Number(parts[2]) * 60 + Number(parts[3]);
}
