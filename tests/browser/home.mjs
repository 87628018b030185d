// Opens the home page and looks for a stream by name.
// usage: node home.mjs URL NAME [--width 1280] [--height 720] [--screenshot FILE]
import { open, options } from './chromium.mjs';

const given = options({ width: '1280', height: '720' });
const [url, name] = given.words;
const { browser, page, errors } = await open(given);
const seen = { url, errors, link: null };
try {
  await page.goto(url);
  const link = page.locator(`a[href$="/watch/${name}"]`).first();
  await link.waitFor({ timeout: 10_000 });
  seen.link = await link.getAttribute('href');
  // Thumbnails load behind the list.
  await page.waitForLoadState('networkidle').catch(() => {});
  if (given.screenshot) await page.screenshot({ path: given.screenshot });
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
