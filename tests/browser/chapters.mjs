// Opens a recording's page and goes through its chapters by mouse and by keyboard.
// usage: node chapters.mjs URL [--width 1280] [--height 900] [--scheme dark] [--screenshot FILE]
import { open, options } from './chromium.mjs';

const given = options({ width: '1280', height: '900', scheme: 'dark' });
const { browser, page, errors } = await open(given);
const seen = { errors, titles: [], at_s: [], current: [], marks: 0, wider_than_page: null };
try {
  await page.emulateMedia({ colorScheme: given.scheme });
  await page.goto(given.words[0]);
  const chapters = page.locator('.chapter');
  await chapters.first().waitFor({ timeout: 15_000 });
  seen.titles = await chapters.locator('.chapter-title').allInnerTexts();
  await page.waitForFunction(() => document.querySelector('video').readyState >= 2, null, { timeout: 15_000 });
  await page.waitForFunction(() => document.querySelectorAll('.seek-mark').length > 0, null, { timeout: 5_000 });
  seen.marks = await page.locator('.seek-mark').count();
  await page.evaluate(() => document.querySelector('video').pause());
  const went = async () => {
    await page.waitForFunction(() => !document.querySelector('video').seeking && document.querySelector('.chapter[aria-current]'));
    seen.at_s.push(await page.evaluate(() => document.querySelector('video').currentTime));
    seen.current.push(await page.locator('.chapter[aria-current] .chapter-title').innerText());
  };
  await chapters.nth(1).click();
  await page.waitForFunction((title) => document.querySelector('.chapter[aria-current] .chapter-title')?.textContent === title, seen.titles[1]);
  await went();
  await chapters.nth(1).press('Tab');
  await page.keyboard.press('Enter');
  await page.waitForFunction((title) => document.querySelector('.chapter[aria-current] .chapter-title')?.textContent === title, seen.titles[2]);
  await went();
  seen.wider_than_page = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  // The bar with what it says of a place.
  const bar = await page.locator('.seek').boundingBox();
  await page.mouse.move(bar.x + bar.width * 0.6, bar.y + bar.height / 2);
  await page.waitForFunction(() => document.querySelector('.seek-title') !== null);
  seen.hint = await page.locator('.seek-title').innerText();
  if (given.screenshot) await page.screenshot({ path: given.screenshot });
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
