/**
 * After the build: writes `.br` and `.gz` beside every text file (the server only picks one), and stops the build
 * when the first load of a page weighs more than `FIRST_LOAD_MAX_BYTES` with gzip, the weaker of the two.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';

/** The promise made to viewers: page, scripts and styles together. */
export const FIRST_LOAD_MAX_BYTES = 250_000;
const TEXT = /\.(html|js|css|svg|txt)$/;
/** Below this, compression saves less than its headers cost. */
const WORTH_IT_BYTES = 512;

export function measure(): Plugin {
  let dist = '';
  return {
    name: 'weir:measure',
    apply: 'build',
    configResolved(config) {
      dist = resolve(config.root, config.build.outDir);
    },
    closeBundle() {
      const sizes = new Map<string, { gzip: number; brotli: number }>();
      for (const name of readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((name) => TEXT.test(name))) {
        const raw = readFileSync(join(dist, name));
        const gzip = gzipSync(raw, { level: 9 });
        const brotli = brotliCompressSync(raw, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
        sizes.set(name.replaceAll('\\', '/'), { gzip: gzip.length, brotli: brotli.length });
        if (raw.length < WORTH_IT_BYTES) continue;
        writeFileSync(join(dist, `${name}.gz`), gzip);
        writeFileSync(join(dist, `${name}.br`), brotli);
      }
      for (const page of [...sizes.keys()].filter((name) => name.endsWith('.html'))) {
        const load = firstLoad(page, (name) => readFileSync(join(dist, name), 'utf8')).map((name) => {
          const size = sizes.get(name);
          if (!size) throw new Error(`${page} asks for ${name}, which the build did not make`);
          return size;
        });
        const gzip = load.reduce((sum, size) => sum + size.gzip, 0);
        const brotli = load.reduce((sum, size) => sum + size.brotli, 0);
        console.log(`first load of ${page}: ${gzip} bytes with gzip, ${brotli} with brotli, ${load.length} files`);
        if (gzip > FIRST_LOAD_MAX_BYTES) throw new Error(`${page} weighs ${gzip} bytes, over ${FIRST_LOAD_MAX_BYTES}`);
      }
    },
  };
}

/**
 * Every file a browser fetches before the page works: the page, what it links, and what those scripts import. A chunk called `later-…` is
 * fetched when somebody does what it is for.
 */
export function firstLoad(page: string, read: (name: string) => string): string[] {
  const found = new Set<string>([page]);
  for (const name of found) {
    if (!/\.(html|js)$/.test(name)) continue;
    const text = read(name);
    for (const match of text.matchAll(/(?:src|href)="\/([^"#]+\.(?:js|css|svg))"/g)) if (match[1]) found.add(match[1]);
    for (const match of text.matchAll(/(?:from|import)\s*\(?\s*["'`]\.\/([^"'`]+\.js)["'`]/g)) {
      if (match[1] && !match[1].startsWith('later-')) found.add(`assets/${match[1]}`);
    }
  }
  return [...found];
}
