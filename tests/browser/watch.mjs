// Opens a watch page and reports what a viewer gets, as one JSON object on the last line.
// usage: node watch.mjs URL [--seconds 8] [--patience 15] [--width 1280] [--height 720] [--screenshot FILE] [--joins N]
//   --joins N: only opens the page N times with an empty cache and reports the times to the first picture
import { open, options } from './chromium.mjs';

const given = options({ seconds: '8', patience: '15', width: '1280', height: '720', joins: '0' });
const url = given.words[0];

/** Seconds from the navigation to the first rendered picture, or null. Leaves the page playing. */
async function firstPicture(page, patience_s) {
  const from = Date.now();
  await page.goto(url);
  const shown = await page
    .waitForFunction(
      () => {
        // The page may keep its video inside a custom element.
        const find = (root) => {
          for (const element of root.querySelectorAll('*')) {
            if (element instanceof HTMLVideoElement) return element;
            const inner = element.shadowRoot && find(element.shadowRoot);
            if (inner) return inner;
          }
          return null;
        };
        const video = find(document);
        if (!video) return false;
        window.watched = video;
        return video.getVideoPlaybackQuality().totalVideoFrames > 0 && video.currentTime > 0;
      },
      undefined,
      { timeout: patience_s * 1000, polling: 50 },
    )
    .catch(() => null);
  return shown ? (Date.now() - from) / 1000 : null;
}

const { browser, page, errors } = await open(given);
const seen = { url, errors };
try {
  if (Number(given.joins) > 0) {
    seen.joins_s = [];
    for (let n = 0; n < Number(given.joins); n++) {
      const session = await page.context().newCDPSession(page);
      await session.send('Network.clearBrowserCache');
      seen.joins_s.push(await firstPicture(page, Number(given.patience)));
      await page.goto('about:blank');
    }
    const sorted = seen.joins_s.map((s) => s ?? Infinity).sort((a, b) => a - b);
    seen.p50_s = sorted[Math.floor(sorted.length / 2)];
    seen.p95_s = sorted[Math.floor(sorted.length * 0.95)];
  } else {
    const words = page
      .waitForTimeout(2_000)
      .then(() => page.waitForFunction(() => document.body?.innerText.replace(/\s+/g, ' ').trim()))
      .then((text) => text.jsonValue())
      .catch(() => '');
    seen.first_picture_s = await firstPicture(page, Number(given.patience));
    seen.words_before = await words;
    if (seen.first_picture_s !== null) {
      Object.assign(
        seen,
        await page.evaluate(async (seconds) => {
          const video = window.watched;
          // A stall is what a viewer sees: the clock of the picture stands for half a second.
          let stalls = 0;
          let moved = { at: video.currentTime, when: performance.now(), counted: false };
          video.muted = false;
          const context = new AudioContext();
          const analyser = context.createAnalyser();
          analyser.fftSize = 2048;
          context.createMediaElementSource(video).connect(analyser);
          await context.resume();
          const canvas = new OffscreenCanvas(32, 18);
          const brush = canvas.getContext('2d', { willReadFrequently: true });
          const pictures = new Set();
          let energy = 0;
          let samples = 0;
          const from = performance.now();
          const at = video.currentTime;
          const wave = new Float32Array(analyser.fftSize);
          while (performance.now() - from < seconds * 1000) {
            await new Promise((resolve) => setTimeout(resolve, 40));
            const now = performance.now();
            if (video.currentTime !== moved.at) moved = { at: video.currentTime, when: now, counted: false };
            else if (now - moved.when > 500 && !moved.counted) {
              stalls++;
              moved.counted = true;
            }
            brush.drawImage(video, 0, 0, 32, 18);
            pictures.add(brush.getImageData(0, 0, 32, 18).data.join(','));
            analyser.getFloatTimeDomainData(wave);
            for (const value of wave) energy += value * value;
            samples += wave.length;
          }
          return {
            pictures: pictures.size,
            rms_db: 10 * Math.log10(Math.max(energy / samples, 1e-12)),
            stalls,
            played_s: video.currentTime - at,
            size: `${video.videoWidth}x${video.videoHeight}`,
            sideways_scroll_px: document.documentElement.scrollWidth - document.documentElement.clientWidth,
          };
        }, Number(given.seconds)),
      );
    }
    if (given.screenshot) await page.screenshot({ path: given.screenshot });
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
