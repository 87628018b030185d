/**
 * Going back in a live and coming back to it, in a real browser: `node --test tests/rewind.mjs`.
 *
 *   BASE_URL      the server, as a browser on the same machine reaches it (default http://127.0.0.1:8080)
 *   STREAM        a stream that has been live on it for a minute at least, and goes on for another
 *   SHOTS         a folder for screenshots; without it none are kept
 *   CHROMIUM      the browser (default /usr/bin/chromium)
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { checkAxe } from './axe.mjs';
import { look, openBrowser, openPage, STREAM, untilMoving } from './page.mjs';

const { SHOTS } = process.env;
const WAIT_MS = 10_000;

let browser;
before(async () => (browser = await openBrowser()));
after(() => browser?.close());

/** Seconds behind the newest, as the page says. */
async function behind(page) {
  const said = (await page.textContent('.place')) ?? '';
  const [, minutes, seconds] = /^−(\d+):(\d\d)$/.exec(said.trim()) ?? [];
  assert.ok(seconds, `a time behind live, not ${said}`);
  return Number(minutes) * 60 + Number(seconds);
}

/** Waits until the picture moves, so many seconds behind the newest. */
async function untilBehind(page, from_s, until_s) {
  const moves = async () => {
    const was = await page.evaluate(() => document.querySelector('video')?.currentTime ?? 0);
    await page.waitForFunction((was) => Math.abs((document.querySelector('video')?.currentTime ?? 0) - was) > 0.3, was, { timeout: WAIT_MS });
  };
  const ends = Date.now() + WAIT_MS;
  for (;;) {
    await moves();
    const at = await behind(page);
    if (at >= from_s && at <= until_s) return;
    assert.ok(Date.now() < ends, `${at} s behind, not ${from_s} to ${until_s}`);
  }
}

async function shot(page, name) {
  if (SHOTS) await page.screenshot({ path: `${SHOTS}/rewind-${name}.png` });
}

test('a viewer goes back further than the live playlist reaches, and comes back', async () => {
  const page = await openPage(browser, `/watch/${STREAM}`);
  await untilMoving(page);
  const title = await page.textContent('h1');
  await page.getByRole('button', { name: 'Rewind' }).click();
  await untilBehind(page, 25, 40);
  assert.equal(await page.textContent('.badge'), 'Rewound');
  await shot(page, 'wide');
  await page.focus('.seek-field');
  await page.keyboard.press('Home');
  await untilBehind(page, 45, 600);
  const spoken = await page.getAttribute('.seek-field', 'aria-valuetext');
  assert.match(spoken, / ago$/);
  // What is over the bar shows how long ago that was, and a picture of it.
  const bar = await page.locator('.seek').boundingBox();
  await page.mouse.move(bar.x + bar.width / 3, bar.y + bar.height / 2);
  await page.waitForSelector('.seek-picture.shown', { timeout: WAIT_MS });
  assert.match((await page.textContent('.seek-time')) ?? '', /^−\d+:\d\d$/);
  await shot(page, 'hint');
  await page.keyboard.press('ArrowRight');
  await untilBehind(page, 40, 600);
  assert.deepEqual(page.faults, []);

  await page.locator('.bar').getByRole('button', { name: 'Back to live' }).click();
  await page.waitForSelector('.delay', { timeout: WAIT_MS });
  const { live, words } = await look(page);
  assert.deepEqual([live, words, await page.textContent('h1')], ['Live', null, title]);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('J leads back too, sound stays off when it was, and a phone has room for all of it', async () => {
  const page = await openPage(browser, `/watch/${STREAM}`, { width: 375, height: 700 });
  await untilMoving(page);
  await page.keyboard.press('m');
  await page.getByRole('button', { name: 'Rewind' }).waitFor({ timeout: WAIT_MS });
  await page.keyboard.press('j');
  await untilBehind(page, 20, 45);
  const { video, overflow } = await look(page);
  assert.equal(video.muted, true);
  assert.ok(overflow <= 0, `${overflow} px to the side`);
  await checkAxe(page, 'the rewound phone page');
  await shot(page, 'phone');
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
