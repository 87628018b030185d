/**
 * Opens the pages of a running server in Debian's Chromium and reads what a viewer would see and hear.
 * For the tests beside it.
 */
import { chromium } from 'playwright-core';

export const BASE_URL = (process.env.BASE_URL ?? 'http://127.0.0.1:8080').replace(/\/$/, '');
export const STREAM = process.env.STREAM ?? 'demo';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--mute-audio'];

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** A browser; with `sound` it may start playing with sound as on a page the viewer has used before. */
export async function openBrowser({ sound = true } = {}) {
  const policy = sound ? 'no-user-gesture-required' : 'document-user-activation-required';
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, args: [...FLAGS, `--autoplay-policy=${policy}`],
  });
}

/** A fresh page with an empty cache; `page.faults` collects what the console and the page complained about. */
export async function openPage(browser, path, { width = 1280, height = 800 } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, ignoreHTTPSErrors: true });
  const page = await context.newPage();
  page.faults = [];
  page.on('pageerror', (error) => page.faults.push(`${error.name}: ${error.message}`));
  page.on('console', (message) => {
    // The browser writes a line of its own for every 404, also for those the page expects.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) page.faults.push(message.text());
  });
  await page.addInitScript(watchVideo);
  await page.goto(BASE_URL + path);
  return page;
}

/** Runs in the page before anything else: notes first frame, frozen pictures and stalls of the video that will appear. */
function watchVideo() {
  const seen = { firstFrame: null, lastFrame: null, frozen: [], stalls: 0, frames: 0, heights: [] };
  window.__seen = seen;
  const hook = (video) => {
    let seeking = false;
    video.addEventListener('seeking', () => (seeking = true));
    video.addEventListener('seeked', () => (seeking = false));
    video.addEventListener('waiting', () => {
      if (seen.firstFrame !== null && !seeking && !video.paused) seen.stalls += 1;
    });
    const frame = (now) => {
      seen.frames += 1;
      if (seen.firstFrame === null) seen.firstFrame = performance.now();
      if (seen.lastFrame !== null && now - seen.lastFrame > 500) seen.frozen.push(Math.round(now - seen.lastFrame));
      seen.lastFrame = now;
      if (seen.heights.at(-1) !== video.videoHeight) seen.heights.push(video.videoHeight);
      video.requestVideoFrameCallback(frame);
    };
    video.requestVideoFrameCallback(frame);
  };
  new MutationObserver((_, observer) => {
    const video = document.querySelector('video');
    if (!video) return;
    observer.disconnect();
    hook(video);
  }).observe(document, { childList: true, subtree: true });
}

/** Waits until the picture moves; throws with what the page shows when it does not. */
export async function untilMoving(page, timeout_ms = 10_000) {
  try {
    await page.waitForFunction(() => window.__seen.frames > 5 && !document.querySelector('.words'), null, { timeout: timeout_ms, polling: 50 });
  } catch {
    throw new Error(`no moving picture in ${timeout_ms} ms: ${JSON.stringify(await look(page))}`);
  }
}

/** Waits until the picture moves between these seconds. */
export async function untilAt(opened, from_s, until_s) {
  const was = (await look(opened)).seen.frames;
  try {
    await opened.waitForFunction(
      ([from, until, was]) => {
        const { currentTime, seeking } = document.querySelector('video');
        return !seeking && currentTime >= from && currentTime <= until && window.__seen.frames > was + 5;
      },
      [from_s, until_s, was], { timeout: 8_000, polling: 50 },
    );
  } catch {
    throw new Error(`the picture does not move between ${from_s} and ${until_s} s: ${JSON.stringify(await look(opened))}`);
  }
}

/** What the page looks like to a person, as data. */
export function look(page) {
  return page.evaluate(() => {
    const video = document.querySelector('video');
    return {
      words: document.querySelector('.words h2')?.textContent ?? null,
      delay: document.querySelector('.delay')?.textContent ?? null,
      quality: document.querySelector('.quality-now')?.textContent ?? null,
      live: document.querySelector('.live')?.textContent ?? null,
      title: document.title,
      video: video && {
        paused: video.paused, muted: video.muted, volume: video.volume, time: video.currentTime, ready: video.readyState,
        width: video.videoWidth, height: video.videoHeight, rate: video.playbackRate,
      },
      seen: window.__seen,
      overflow: document.documentElement.scrollWidth - window.innerWidth,
    };
  });
}

/** Loudness of what plays, root mean square in dB of full scale over `seconds`. */
export function loudness(page, seconds = 3) {
  return page.evaluate(async (seconds) => {
    const context = new AudioContext();
    await context.resume();
    const analyser = context.createAnalyser();
    analyser.fftSize = 8192;
    const source = context.createMediaElementSource(document.querySelector('video'));
    source.connect(analyser).connect(context.destination);
    const window = new Float32Array(analyser.fftSize);
    let sum = 0;
    let count = 0;
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      await new Promise((done) => setTimeout(done, 170));
      analyser.getFloatTimeDomainData(window);
      for (const sample of window) sum += sample * sample;
      count += window.length;
    }
    return 10 * Math.log10(sum / count || 1e-12);
  }, seconds);
}

/** Opens the quality menu and gives its lines. Leaves it open. */
export async function openQuality(page) {
  await page.mouse.move(200, 200);
  await page.mouse.move(220, 210);
  await page.click('.quality-button');
  return page.$$eval('.menu [role=menuitemradio]', (items) => items.map((item) => item.children[1].textContent));
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
