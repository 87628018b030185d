/** A storyboard whose pictures are plain colours, in place of the server's, and what of it is on the screen. For `recordings.mjs`. */
import assert from 'node:assert/strict';

export const TILES = 20;
/** Per sheet: five in a row, two rows. */
const ACROSS = 5;
const DOWN = 2;
const WIDTH = 160;
const HEIGHT = 90;

const colourOf = (tile) => [(tile % 5) * 60, Math.floor(tile / 5) * 60, 128];

/** Answers for the server from now on. Gives the names of the files that are asked for, as they are. */
export async function mockStoryboard(opened, folder, length_s) {
  const asked = [];
  const sheets = [];
  for (let first = 0; first < TILES; first += ACROSS * DOWN) sheets.push(await paint(opened, first));
  await opened.route(`**${folder}storyboard*`, (route) => {
    const name = new URL(route.request().url()).pathname.split('/').at(-1);
    asked.push(name);
    const sheet = sheets[name.match(/^storyboard-(\d+)\.jpg$/)?.[1]];
    if (sheet) return route.fulfill({ contentType: 'image/jpeg', body: sheet });
    return route.fulfill({ contentType: 'text/vtt', body: webVtt(length_s) });
  });
  return asked;
}

/** Waits until the picture over the seek bar is this one, by the colour in its middle. `again` brings one that stays for a moment only. */
export async function untilPicture(opened, tile, again = async () => {}) {
  let seen = null;
  for (const end = Date.now() + 20_000; Date.now() < end; await opened.waitForTimeout(50)) {
    const box = await opened.locator('.seek-picture.shown').boundingBox({ timeout: 500 }).catch(() => null);
    if (!box) {
      await again();
      continue;
    }
    seen = await colourAt(opened, box.x + box.width / 2, box.y + box.height / 2);
    if (seen.every((value, i) => Math.abs(value - colourOf(tile)[i]) < 12)) return;
  }
  assert.fail(`picture ${tile} is ${colourOf(tile)} and ${seen} is shown`);
}

/** A place on the seek bar, in pixels of the page; `part` of the recording, 0 to 1. */
export async function onBar(opened, part) {
  const bar = await opened.locator('.seek-field').boundingBox();
  return [bar.x + 11 + part * (bar.width - 22), bar.y + bar.height / 2];
}

/** All that stands over the seek bar is on the picture. */
export async function fitsPlayer(opened) {
  const [player, time, picture] = await Promise.all(['.screen', '.seek-time', '.seek-picture'].map((part) => opened.locator(part).boundingBox()));
  for (const box of [time, picture]) {
    assert.ok(box.x >= player.x && box.x + box.width <= player.x + player.width && box.y >= player.y, JSON.stringify([player, box]));
  }
  return { player, picture };
}

/** The cues of a storyboard in the order they stand in. */
export function cuesOf(text) {
  const cue = /^([\d:.]+) --> ([\d:.]+)\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)$/gm;
  return [...text.matchAll(cue)].map(([, from, until, sheet]) => ({ from_s: seconds(from), until_s: seconds(until), sheet }));
}

function webVtt(length_s) {
  const cues = Array.from({ length: TILES }, (_, i) => {
    const [sheet, at] = [Math.floor(i / (ACROSS * DOWN)), i % (ACROSS * DOWN)];
    const box = [(at % ACROSS) * WIDTH, Math.floor(at / ACROSS) * HEIGHT, WIDTH, HEIGHT];
    return `${clock((i / TILES) * length_s)} --> ${clock(((i + 1) / TILES) * length_s)}\nstoryboard-${sheet}.jpg#xywh=${box}\n`;
  });
  return `WEBVTT\n\n${cues.join('\n')}`;
}

/** A sheet as a JPEG, made by the page's own browser. */
async function paint(opened, first) {
  const colours = Array.from({ length: ACROSS * DOWN }, (_, i) => colourOf(first + i));
  const base64 = await opened.evaluate(([colours, across, down, width, height]) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: across * width, height: down * height });
    const pen = canvas.getContext('2d');
    colours.forEach((colour, i) => {
      pen.fillStyle = `rgb(${colour})`;
      pen.fillRect((i % across) * width, Math.floor(i / across) * height, width, height);
    });
    return canvas.toDataURL('image/jpeg', 0.95).split(',')[1];
  }, [colours, ACROSS, DOWN, WIDTH, HEIGHT]);
  return Buffer.from(base64, 'base64');
}

/** What a person sees there, from a screenshot. */
async function colourAt(opened, x, y) {
  const picture = await opened.screenshot({ clip: { x: Math.round(x) - 2, y: Math.round(y) - 2, width: 4, height: 4 } });
  return opened.evaluate(async (base64) => {
    const image = new Image();
    image.src = `data:image/png;base64,${base64}`;
    await image.decode();
    const pen = document.createElement('canvas').getContext('2d');
    pen.drawImage(image, 0, 0);
    return [...pen.getImageData(1, 1, 1, 1).data].slice(0, 3);
  }, picture.toString('base64'));
}

function clock(at_s) {
  return new Date(Math.round(at_s * 1_000)).toISOString().slice(11, 23);
}

function seconds(stamp) {
  return stamp.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
}
