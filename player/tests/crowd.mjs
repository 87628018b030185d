/**
 * The pages that list streams, with as many as are live on a running server: `node --test tests/crowd.mjs`.
 *
 *   BASE_URL   the server over HTTPS, or on this machine
 *   TOKEN      its API token
 *   LIVE       how many streams are live on it, and there are no others
 *   SHOTS      a folder for screenshots; without it none are kept
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { checkAxe } from './axe.mjs';
import { BASE_URL, openBrowser } from './page.mjs';

const { TOKEN, SHOTS } = process.env;
const LIVE = Number(process.env.LIVE);
const PATIENCE_MS = 20_000;

let browser;
let storageState;

before(async () => {
  browser = await openBrowser();
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  await page.goto(`${BASE_URL}/dashboard`);
  await page.fill('input[type=password]', TOKEN);
  await page.keyboard.press('Enter');
  await page.waitForSelector('nav >> text=Audit');
  storageState = await context.storageState();
  await context.close();
});
after(() => browser?.close());

/** Each page with the element of which there is one for each stream, and what stands there when there is none. */
const PAGES = [
  ['/', '.streams > li', 'text=Nothing is live'],
  ['/dashboard', '.rows > li', 'text=Add your first stream'],
  ['/dashboard/server', '.gauge-figure', '.gauge-figure'],
];

for (const width of [375, 1440]) {
  for (const colorScheme of ['dark', 'light']) {
    test(`${LIVE}_streams_at_${width}_${colorScheme}`, async () => {
      const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, storageState, ignoreHTTPSErrors: true });
      const page = await context.newPage();
      page.setDefaultTimeout(PATIENCE_MS);
      const faults = [];
      page.on('pageerror', (error) => faults.push(`${error.name}: ${error.message}`));
      for (const [path, each, none] of PAGES) {
        await page.goto(BASE_URL + path);
        await page.waitForSelector(LIVE ? each : none);
        if (LIVE && path !== '/dashboard/server') {
          await page.waitForFunction(([each, live]) => document.querySelectorAll(each).length === live, [each, LIVE]);
        }
        await checkAxe(page, path);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${path} fits ${width}`);
        assert.equal(await page.locator('h1').count(), 1);
        const name = `${LIVE}-${path.slice(1).replaceAll('/', '-') || 'home'}-${width}-${colorScheme}`;
        if (SHOTS) await page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true });
      }
      assert.deepEqual(faults, []);
      await context.close();
    });
  }
}
