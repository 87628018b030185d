/**
 * A private stream of a running server, for viewers and for its operator, in a real browser: `node --test tests/private.mjs`.
 *
 *   BASE_URL      the server, as a browser on the same machine reaches it (default http://127.0.0.1:8080)
 *   TOKEN         its API token (the file api-token in the data folder)
 *   STREAM        a stream that is live on it and goes on for three minutes
 *   SHOTS         a folder for screenshots; without it none are kept
 *   CHROMIUM      the browser (default /usr/bin/chromium)
 *
 * Its visibility is changed and put back at the end, and the keys of tickets are rotated twice: links that were given out end.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { checkAxe } from './axe.mjs';
import { BASE_URL, look, openBrowser, openPage, STREAM, untilMoving } from './page.mjs';

const { TOKEN, SHOTS } = process.env;
const WAIT_MS = 15_000;
const SIZES = [{ width: 375, height: 700 }, { width: 1280, height: 900 }];
const SCHEMES = ['dark', 'light'];

let browser;
let original;
before(async () => {
  assert.ok(TOKEN, 'TOKEN is set');
  original = (await asked('GET', `/streams/${STREAM}`)).visibility;
  await asked('PATCH', `/streams/${STREAM}`, { visibility: 'private' });
  browser = await openBrowser();
});
after(async () => {
  if (original) await asked('PATCH', `/streams/${STREAM}`, { visibility: original });
  await browser?.close();
});

async function asked(method, path, body) {
  const headers = { authorization: `Bearer ${TOKEN}`, ...(body && { 'content-type': 'application/json' }) };
  const answer = await fetch(`${BASE_URL}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${await answer.text()}`);
  return answer.status === 204 ? null : answer.json();
}

const link = async () => (await asked('POST', `/streams/${STREAM}/tickets`, {})).watch;
const shot = async (page, name) => {
  if (SHOTS) await page.screenshot({ path: `${SHOTS}/private-${name}.png`, fullPage: true });
};
const words = (page, title) =>
  page.waitForFunction((title) => document.querySelector('.words h2')?.textContent === title, title, { timeout: WAIT_MS });

/** The operator's page of the stream, signed in. */
async function operated({ width, height }, colorScheme) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, ignoreHTTPSErrors: true });
  const page = await context.newPage();
  page.faults = [];
  page.on('pageerror', (error) => page.faults.push(`${error.name}: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) page.faults.push(message.text());
  });
  await page.goto(`${BASE_URL}/dashboard/streams/${STREAM}`);
  await page.fill('input[type=password]', TOKEN);
  await page.keyboard.press('Enter');
  await page.waitForSelector('text=Private link', { timeout: WAIT_MS });
  return page;
}

/** Waits until the operator's preview moves. */
async function untilPreviewed(page) {
  const time = () => page.evaluate(() => document.querySelector('.preview video')?.currentTime ?? 0);
  await page.waitForFunction(() => (document.querySelector('.preview video')?.currentTime ?? 0) > 0, null, { timeout: WAIT_MS });
  const was = await time();
  await page.waitForFunction((was) => document.querySelector('.preview video').currentTime > was + 0.5, was, { timeout: WAIT_MS });
}

test('a_link_opens_the_page_and_the_past_and_without_it_the_page_says_what_is_needed', async () => {
  const path = await link();
  const page = await openPage(browser, path);
  await untilMoving(page);
  const requests = [];
  page.on('request', (request) => requests.push(new URL(request.url())));
  await page.getByRole('button', { name: 'Rewind' }).click();
  await page.waitForSelector('.place', { timeout: WAIT_MS });
  await page.waitForFunction(() => document.querySelector('video')?.currentTime > 0, null, { timeout: WAIT_MS });
  const [, ticket] = path.match(/^\/p\/([\w-]+)\/watch\//);
  const media = requests.filter(({ pathname }) => /live\/|rewind\//.test(pathname) && !pathname.startsWith('/api/'));
  assert.ok(media.length > 3 && media.every(({ pathname }) => pathname.startsWith(`/p/${ticket}/`)), media.join('\n'));
  await page.locator('.bar').getByRole('button', { name: 'Back to live' }).click();
  await page.waitForSelector('.delay', { timeout: WAIT_MS });
  await page.click('text=Share and embed');
  const shared = await page.$$eval('.elsewhere input', (all) => all.map((each) => each.value));
  assert.ok(shared.length >= 3 && shared.every((text) => text.includes(`/p/${ticket}/`)), shared.join('\n'));
  assert.deepEqual(page.faults, []);
  await shot(page, 'watch');
  await page.context().close();

  const stranger = await openPage(browser, `/watch/${STREAM}`);
  await words(stranger, 'Not live yet');
  assert.match(await stranger.textContent('.words p'), /its own link/);
  assert.deepEqual(stranger.faults, []);
  await shot(stranger, 'stranger');
  await stranger.context().close();
});

test('the_operator_sees_it_and_makes_links_on_phones_and_wide_screens', async () => {
  for (const size of SIZES) {
    for (const scheme of SCHEMES) {
      const page = await operated(size, scheme);
      await untilPreviewed(page);
      await page.getByRole('button', { name: 'Make a link' }).click();
      const field = page.locator('label:has-text("Good for six hours") input');
      await field.waitFor({ timeout: WAIT_MS });
      const made = await field.inputValue();
      assert.match(made, new RegExp(`/p/[\\w-]{40}/watch/${STREAM}$`));
      assert.equal(await page.getByLabel('Visibility').first().inputValue(), 'private');
      assert.equal(await page.locator('text=Watch page').count(), 0, 'nobody is sent to a page that says no');
      const { overflow } = await look(page);
      assert.ok(overflow <= 0, `${overflow} px to the side at ${size.width}`);
      await checkAxe(page, `the private stream's page, ${size.width} ${scheme}`);
      await shot(page, `operator-${size.width}-${scheme}`);
      assert.deepEqual(page.faults, []);
      await page.context().close();
    }
  }
});

test('a_ticket_is_renewed_without_a_break_in_the_operators_picture', async () => {
  const context = await browser.newContext({ viewport: SIZES[1], ignoreHTTPSErrors: true });
  const page = await context.newPage();
  // Each answer has a ticket of its own, as if ten minutes had passed.
  const given = [];
  await page.route(`**/api/v1/streams/${STREAM}`, async (route) => {
    if (route.request().method() !== 'GET') return route.continue();
    const answer = await route.fetch();
    const body = await answer.json();
    const { ticket } = await asked('POST', `/streams/${STREAM}/tickets`, { lasts_s: 600 + given.length * 60 });
    given.push(ticket);
    body.live.hls = `/p/${ticket}/live/${STREAM}/index.m3u8`;
    return route.fulfill({ response: answer, json: body });
  });
  await page.goto(`${BASE_URL}/dashboard/streams/${STREAM}`);
  await page.fill('input[type=password]', TOKEN);
  await page.keyboard.press('Enter');
  await page.waitForSelector('.preview video', { timeout: WAIT_MS });
  await untilPreviewed(page);
  const used = new Set();
  let indexes = 0;
  page.on('request', (request) => {
    const [, ticket, rest] = new URL(request.url()).pathname.match(/^\/p\/([\w-]+)\/live\/(.*)/) ?? [];
    if (ticket) used.add(ticket);
    if (rest?.endsWith('index.m3u8')) indexes += 1;
  });
  const ends = Date.now() + 30_000;
  while (used.size < 4 && Date.now() < ends) await page.waitForRequest(/\/live\//, { timeout: WAIT_MS });
  assert.ok(used.size >= 4 && [...used].every((ticket) => given.includes(ticket)), `${used.size} tickets were used`);
  assert.equal(indexes, 0, 'the player is not opened anew');
  await untilPreviewed(page);
  await context.close();
});

test('a_link_that_was_struck_says_so_in_the_middle_and_goes_on_when_the_stream_is_opened', async () => {
  const page = await openPage(browser, await link(), SIZES[0]);
  await untilMoving(page);
  await asked('POST', '/playback-keys/rotate');
  await asked('POST', '/playback-keys/rotate');
  await words(page, 'This link does not open the stream');
  assert.match(await page.textContent('.words p'), /ask whoever gave it to you/);
  assert.equal(await page.textContent('.badge'), 'No entry');
  await checkAxe(page, 'the page of a link that was struck');
  await shot(page, 'struck');
  await asked('PATCH', `/streams/${STREAM}`, { visibility: 'unlisted' });
  await untilMoving(page, WAIT_MS);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
