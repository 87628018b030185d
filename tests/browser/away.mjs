// Opens a watch page and reports when its picture moved, as one JSON object on the last line.
// usage: node away.mjs URL [--seconds 20]
//   moved: for each second since the first picture, whether the picture's clock went on in it
//   words: what the page said while it did not
//   texts: all that it said, in order, each once until it changed
import { open, options } from './chromium.mjs';

const given = options({ seconds: '20', width: '1280', height: '720' });
const { browser, page, errors } = await open(given);
const seen = { errors };
try {
  await page.goto(given.words[0]);
  // The page may keep its video inside a custom element, and may make another one.
  await page.evaluate(() => {
    const find = (root) => {
      for (const element of root.querySelectorAll('*')) {
        if (element instanceof HTMLVideoElement) return element;
        const inner = element.shadowRoot && find(element.shadowRoot);
        if (inner) return inner;
      }
      return null;
    };
    window.clock = () => find(document)?.currentTime ?? 0;
  });
  await page.waitForFunction(() => window.clock() > 0, undefined, { timeout: 15_000, polling: 50 });
  console.log('playing');
  Object.assign(
    seen,
    await page.evaluate(async (seconds) => {
      const moved = [];
      const words = new Set();
      const texts = [];
      for (let second = 0; second < seconds; second++) {
        const before = window.clock();
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        moved.push(window.clock() !== before);
        const text = document.body.innerText.replace(/\s+/g, ' ').trim();
        if (!moved.at(-1)) words.add(text);
        if (texts.at(-1) !== text) texts.push(text);
      }
      return { moved, words: [...words], texts };
    }, Number(given.seconds)),
  );
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
