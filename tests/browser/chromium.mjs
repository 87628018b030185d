// Debian's Chromium, driven by the player's own playwright-core.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(fileURLToPath(new URL('../../player/package.json', import.meta.url)));
const { chromium } = require('playwright-core');

/** `--name value` pairs and the other words of the command line. */
export function options(defaults) {
  const named = { ...defaults };
  const words = [];
  for (let i = 2; i < process.argv.length; i++) {
    const word = process.argv[i];
    if (word.startsWith('--')) named[word.slice(2)] = process.argv[++i];
    else words.push(word);
  }
  return { ...named, words };
}

/** A browser that asks nothing of the outside, and the errors that its pages report. */
export async function open({ width, height }) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
      '--mute-audio',
      '--autoplay-policy=no-user-gesture-required',
    ],
  });
  const context = await browser.newContext({
    viewport: { width: Number(width), height: Number(height) },
    ignoreHTTPSErrors: true,
  });
  const page = await context.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    // A 404 of a stream that is not live yet is an answer, not a fault of the page.
    if (message.type() === 'error' && !/status of 404/.test(message.text())) errors.push(message.text());
  });
  return { browser, page, errors };
}
