// Opens a stream's dock and reports what it said, as one JSON object on the last line.
// usage: node dock.mjs URL [--seconds 30] [--width 320] [--height 420] [--screenshot FILE]
// It ends early once the verdict was Bad and has then been Good for three seconds.
import { open, options } from './chromium.mjs';

const given = options({ seconds: '30', width: '320', height: '420' });
const LOOK_MS = 250;
const GOOD_MS = 3_000;

const { browser, page, errors } = await open(given);
const seen = { verdicts: [], texts: [], errors };
const note = (list, text) => text && list.at(-1) !== text && list.push(text);
try {
  await page.goto(given.words[0]);
  let goodSince = null;
  for (const until = Date.now() + Number(given.seconds) * 1000; Date.now() < until; ) {
    const [verdict, cure] = await page.evaluate(() =>
      ['.dock-verdict > p', '.dock-cure'].map((place) => document.querySelector(place)?.textContent ?? ''),
    );
    note(seen.verdicts, verdict);
    note(seen.texts, cure);
    goodSince = verdict === 'Good' ? (goodSince ?? Date.now()) : null;
    if (goodSince && Date.now() - goodSince > GOOD_MS && seen.verdicts.includes('Bad')) break;
    await page.waitForTimeout(LOOK_MS);
  }
  if (given.screenshot) await page.screenshot({ path: given.screenshot });
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
