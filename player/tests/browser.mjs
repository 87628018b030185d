/**
 * What a viewer gets from a running server, in a real browser: `node --test tests/browser.mjs`.
 *
 *   BASE_URL      the server (default http://127.0.0.1:8080)
 *   STREAM        a stream that is live on it, with sound and at least two rungs (default demo)
 *   SWITCHES      forced quality switches (default 50, each takes about a segment)
 *   JOINS         pages opened to measure how fast the picture comes (default 9)
 *   STOP, START   shell commands that end the stream and begin it anew; without them that check is skipped
 *   SHOTS         a folder for screenshots; without it none are kept
 *   CHROMIUM      the browser (default /usr/bin/chromium)
 */
import assert from 'node:assert/strict';
import { exec } from 'node:child_process';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { STREAM, look, loudness, median, openBrowser, openPage, openQuality, sleep, untilMoving } from './page.mjs';

const run = promisify(exec);
const SWITCHES = Number(process.env.SWITCHES ?? 50);
const JOINS = Number(process.env.JOINS ?? 9);
/** A switch may wait 6 s until the slower rung can follow, comes with the next segment and shows when the buffer was played. */
const SWITCHED_MS = 14_000;

let browser;
before(async () => (browser = await openBrowser()));
after(() => browser?.close());

const shot = async (page, name) => {
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${name}.png` });
};
const clean = (page) => assert.deepEqual(page.faults, [], 'the console is quiet and the content policy is kept');

test('moving_picture_with_sound_within_five_seconds', async () => {
  const page = await openPage(browser, `/watch/${STREAM}`);
  await untilMoving(page, 5_000);
  const rms_db = await loudness(page);
  const { video, delay, live } = await look(page);
  await shot(page, 'watch');
  console.log(`# picture ${video.width}x${video.height}, sound ${rms_db.toFixed(1)} dB, delay shown ${delay}`);
  assert.ok(rms_db > -40, `sound RMS ${rms_db} dB`);
  assert.equal(live, 'Live');
  assert.match(delay ?? '', /^\d/);
  clean(page);
  await page.context().close();
});

test('home_lists_the_stream_and_leads_to_it', async () => {
  const page = await openPage(browser, '/');
  await page.click(`a[href="/watch/${STREAM}"]`, { timeout: 5_000 });
  await untilMoving(page);
  clean(page);
  await page.context().close();
});

test('embed_is_the_player_alone', async () => {
  const page = await openPage(browser, `/embed/${STREAM}`, { width: 640, height: 360 });
  await untilMoving(page);
  const box = await page.locator('media-controller').boundingBox();
  assert.deepEqual([box.width, box.height], [640, 360]);
  assert.equal(await page.locator('header').count(), 0);
  clean(page);
  await page.context().close();
});

test('phone_width_fits', async () => {
  const page = await openPage(browser, `/watch/${STREAM}`, { width: 375, height: 740 });
  await untilMoving(page);
  await page.mouse.move(180, 150);
  await shot(page, 'watch-375');
  assert.ok((await look(page)).overflow <= 0, 'nothing is wider than the phone');
  const fits = await page.$$eval('.bar > *, .bar button', (items) => items.every((item) => {
    const box = item.getBoundingClientRect();
    return box.width === 0 || (box.left >= 0 && box.right <= innerWidth + 0.5);
  }));
  assert.ok(fits, 'every control is on the screen');
  await page.context().close();
});

test('first_picture_comes_fast', async () => {
  const fromPage = [];
  const fromPlaylist = [];
  for (let i = 0; i < JOINS; i += 1) {
    // Spread over the phases of a segment.
    await sleep((i * 370) % 1_000);
    const page = await openPage(browser, `/watch/${STREAM}`);
    await untilMoving(page);
    const [frame, asked] = await page.evaluate(() => [
      window.__seen.firstFrame,
      performance.getEntriesByType('resource').find((entry) => entry.name.endsWith('/index.m3u8'))?.startTime ?? 0,
    ]);
    fromPage.push(frame);
    fromPlaylist.push(frame - asked);
    await page.context().close();
  }
  console.log(`# first picture: p50 ${median(fromPlaylist).toFixed(0)} ms after the playlist is asked for, ${median(fromPage).toFixed(0)} ms after the page is`);
  assert.ok(median(fromPlaylist) < 800, `p50 ${median(fromPlaylist)} ms`);
});

test('forced_quality_switches_never_stall', async () => {
  const page = await openPage(browser, `/watch/${STREAM}`);
  await untilMoving(page);
  await sleep(3_000);
  const lines = await openQuality(page);
  await page.keyboard.press('Escape');
  console.log(`# quality menu: ${lines.join(', ')}`);
  assert.ok(lines.length >= 3 && lines[0] === 'Auto', `menu lists ${lines}`);
  const before = (await look(page)).seen;
  for (let i = 0; i < SWITCHES; i += 1) {
    const line = 1 + (i % (lines.length - 1));
    await openQuality(page);
    await page.click(`.menu [role=menuitemradio] >> nth=${line}`);
    await page.waitForFunction((label) => document.querySelector('.quality-now')?.textContent === label, lines[line], { timeout: SWITCHED_MS });
  }
  const { seen } = await look(page);
  const stalls = seen.stalls - before.stalls;
  const frozen = seen.frozen.slice(before.frozen.length);
  console.log(`# ${SWITCHES} switches, the picture changed its height ${seen.heights.length - before.heights.length} times, stalls ${stalls}, frozen ${JSON.stringify(frozen)}`);
  assert.equal(stalls, 0, 'stalls');
  assert.deepEqual(frozen, [], 'pictures frozen over 0.5 s');
  assert.ok(seen.heights.length > before.heights.length + SWITCHES / 3, 'the switches reach the picture');
  await page.context().close();
});

test('keyboard_does_what_the_help_says', async () => {
  const page = await openPage(browser, `/watch/${STREAM}`);
  await untilMoving(page);
  const video = async () => (await look(page)).video;
  await page.keyboard.press('k');
  assert.equal((await video()).paused, true, 'k pauses');
  await page.keyboard.press(' ');
  assert.equal((await video()).paused, false, 'space plays');
  await page.keyboard.press('m');
  assert.equal((await video()).muted, true, 'm mutes');
  await page.keyboard.press('m');
  assert.equal((await video()).muted, false, 'm unmutes');
  const { volume } = await video();
  await page.keyboard.press('ArrowDown');
  assert.ok((await video()).volume < volume, 'arrow down is quieter');
  await sleep(6_000);
  const { time } = await video();
  await page.keyboard.press('ArrowLeft');
  await sleep(300);
  assert.ok((await video()).time < time - 3, 'arrow left goes back');
  await page.waitForFunction(() => document.querySelector('.live')?.textContent === 'Back to live', null, { timeout: 3_000 });
  await page.keyboard.press('l');
  await page.waitForFunction(() => document.querySelector('.live')?.textContent === 'Live', null, { timeout: 5_000 });
  await page.keyboard.press('f');
  await page.waitForFunction(() => document.fullscreenElement !== null, null, { timeout: 3_000 });
  await page.keyboard.press('f');
  await page.waitForFunction(() => document.fullscreenElement === null, null, { timeout: 3_000 });
  clean(page);
  await page.context().close();
});

test('plays_without_sound_and_offers_it_when_the_browser_wants_a_tap', async () => {
  const strict = await openBrowser({ sound: false });
  try {
    const page = await openPage(strict, `/watch/${STREAM}`);
    await untilMoving(page);
    assert.equal((await look(page)).video.muted, true);
    await shot(page, 'watch-silent');
    await page.click('.sound');
    const { video } = await look(page);
    assert.deepEqual([video.muted, video.paused], [false, false]);
  } finally {
    await strict.close();
  }
});

test('goes_on_by_itself_after_the_network_was_away', async () => {
  const page = await openPage(browser, `/watch/${STREAM}`);
  await untilMoving(page);
  await page.context().setOffline(true);
  await page.waitForSelector('.words', { timeout: 30_000 });
  await shot(page, 'watch-offline');
  await page.context().setOffline(false);
  const was = (await look(page)).seen.frames;
  await page.waitForFunction((was) => window.__seen.frames > was + 20 && !document.querySelector('.words'), was, { timeout: 10_000 });
  await page.context().close();
});

test('is_live_again_after_sleep', async () => {
  const page = await openPage(browser, `/watch/${STREAM}`);
  await untilMoving(page);
  const system = await page.context().newCDPSession(page);
  await system.send('Page.setWebLifecycleState', { state: 'frozen' });
  await sleep(12_000);
  await system.send('Page.setWebLifecycleState', { state: 'active' });
  const was = (await look(page)).seen.frames;
  await page.waitForFunction(
    (was) => window.__seen.frames > was + 20 && document.querySelector('.live')?.textContent === 'Live', was, { timeout: 6_000 },
  );
  const { delay } = await look(page);
  console.log(`# delay after sleep ${delay}`);
  assert.ok(parseFloat(delay) < 6, `delay ${delay}`);
  await page.context().close();
});

test('waits_in_words_for_a_stream_that_is_not_live', async () => {
  const page = await openPage(browser, '/watch/nobody-streams-here');
  await page.waitForFunction(() => document.querySelector('.words h2')?.textContent === 'Not live yet', null, { timeout: 4_000 });
  await shot(page, 'watch-waiting');
  clean(page);
  await page.context().close();
});

test('picks_up_the_stream_when_it_begins_anew', { skip: !(process.env.STOP && process.env.START) && 'STOP and START are not set' }, async () => {
  const page = await openPage(browser, `/watch/${STREAM}`);
  await untilMoving(page);
  await run(process.env.STOP);
  await page.waitForSelector('.words', { timeout: 90_000 });
  await shot(page, 'watch-over');
  const was = (await look(page)).seen.frames;
  await run(process.env.START);
  await page.waitForFunction((was) => window.__seen.frames > was + 20 && !document.querySelector('.words'), was, { timeout: 30_000 });
  await page.context().close();
});
