/**
 * Films that are uploaded on the dashboard of a running server, in a real browser: `node --test tests/uploads.mjs`.
 *
 *   BASE_URL      the server, as a browser on the same machine reaches it
 *   TOKEN         its API token
 *   FILM          an MP4 file of some megabytes that can be imported
 *   SHOTS         a folder for screenshots; without it none are kept
 *
 * What is made is deleted for good at the end.
 */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { after, before, test } from 'node:test';
import { checkAxe } from './axe.mjs';
import { BASE_URL, openBrowser, openPage } from './page.mjs';

const { TOKEN, FILM, SHOTS } = process.env;
const WAIT_MS = 20_000;
const PHONE = { width: 375, height: 800 };

let browser;
let page;

async function asked(method, path) {
  const answer = await fetch(`${BASE_URL}/api/v1${path}`, { method, headers: { authorization: `Bearer ${TOKEN}` } });
  if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${await answer.text()}`);
  return answer.status === 204 ? null : answer.json();
}

const shot = async (name) => {
  if (SHOTS) await page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true });
};

const said = (state) => page.waitForSelector(`.sending.${state}`, { timeout: WAIT_MS });

before(async () => {
  assert.ok(TOKEN && FILM, 'TOKEN and FILM are set');
  browser = await openBrowser();
  page = await openPage(browser, '/dashboard/recordings', { width: 1280, height: 900 });
  page.setDefaultTimeout(WAIT_MS);
  await page.fill('input[type=password]', TOKEN);
  await page.keyboard.press('Enter');
  await page.waitForSelector('.drop');
});
after(async () => {
  const { recordings } = await asked('GET', '/recordings');
  for (const { id } of recordings) await asked('DELETE', `/recordings/${id}`).catch(() => undefined);
  await browser?.close();
});

test('a_film_is_sent_with_a_bar_paused_resumed_and_becomes_a_recording', async () => {
  // As slow as a line to a server elsewhere, so that there is something to pause.
  const client = await page.context().newCDPSession(page);
  const slow = (bytesPerSecond) => client.send('Network.emulateNetworkConditions', { offline: false, latency: 5, downloadThroughput: -1, uploadThroughput: bytesPerSecond });
  await client.send('Network.enable');
  await slow(statSync(FILM).size / 6);
  await page.setInputFiles('input[type=file]', FILM);
  await said('sending');
  const value = () => page.$eval('.sending progress', (bar) => bar.value);
  await page.waitForFunction(() => document.querySelector('.sending progress').value > 5);
  await shot('upload-sending');
  await page.setViewportSize(PHONE);
  assert.equal(await page.evaluate(() => document.scrollingElement.scrollWidth <= innerWidth), true, 'nothing is beside a phone');
  await shot('upload-sending-phone');
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.click('.sending >> text=Pause');
  await said('paused');
  const paused = await value();
  assert.ok(paused < 100);
  assert.match(await page.textContent('.sending-said'), /^Paused at /);
  await checkAxe(page, 'an upload');
  await slow(-1);
  await page.click('.sending >> text=Resume');
  await said('sent');
  const name = basename(FILM).replace(/\.[^.]+$/, '');
  const link = await page.waitForSelector('.sending-name a');
  assert.equal(await link.textContent(), basename(FILM));
  await page.waitForFunction((name) => [...document.querySelectorAll('.kept-row')].some((row) => row.textContent.includes(name) && row.textContent.includes('Available')), name);
  await shot('upload-sent');
  await link.click();
  await page.waitForFunction((name) => document.querySelector('main h1')?.textContent === name, name);
  assert.deepEqual(page.faults, [], 'the console is quiet and the content policy is kept');
});

test('what_is_no_film_is_refused_in_words', async () => {
  await page.goto(`${BASE_URL}/dashboard/recordings`);
  await page.waitForSelector('.drop');
  await page.setInputFiles('input[type=file]', { name: 'diary.mp4', mimeType: 'video/mp4', buffer: Buffer.from('Dear diary, today I filmed nothing.') });
  await said('failed');
  assert.match(await page.textContent('.sending [role=alert]'), /^This is not an MP4 file; convert it with ffmpeg/);
  await shot('upload-refused');
  await page.click('.sending >> text=Cancel');
  await page.waitForFunction(() => document.querySelectorAll('.sending').length === 0);
});
