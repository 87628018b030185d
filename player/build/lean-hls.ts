/**
 * Builds hls.js from its own sources, without the parts Weir never serves (DRM, CMCD, interstitials, content steering,
 * variable substitution, I-frame playlists, AC-3 and HEVC in MPEG-TS). Alternate audio, captions and Media
 * Capabilities stay. Compressed with gzip the ready-made full build is 182 kB and this one 136 kB (hls.js 1.7.4); the
 * ready-made light build has no alternate audio, and every Weir stream with sound needs that.
 *
 * Types still come from the package's published declarations, so `src/hls.ts` is written against the public API.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const hls = resolve(root, 'node_modules/hls.js');

/** The switches of hls.js's own build (`src/define-plugin.d.ts` in its package). */
const FLAGS: Readonly<Record<string, boolean>> = {
  __USE_ALT_AUDIO__: true,
  __USE_SUBTITLES__: true,
  __USE_MEDIA_CAPABILITIES__: true,
  __USE_EME_DRM__: false,
  __USE_CMCD__: false,
  __USE_CONTENT_STEERING__: false,
  __USE_VARIABLE_SUBSTITUTION__: false,
  __USE_M2TS_ADVANCED_CODECS__: false,
  __USE_INTERSTITIALS__: false,
  __USE_IFRAMES__: false,
};

/** Imported by switched-off parts only: never bundled, and the import disappears with the part. */
const UNUSED = '@svta/cml-cmcd';

export function leanHls(): Plugin {
  const { version } = JSON.parse(readFileSync(resolve(hls, 'package.json'), 'utf8')) as { version: string };
  return {
    name: 'weir:lean-hls',
    enforce: 'pre',
    config: () => ({
      define: {
        ...Object.fromEntries(Object.entries(FLAGS).map(([name, on]) => [name, String(on)])),
        __VERSION__: JSON.stringify(version),
      },
    }),
    resolveId(id) {
      if (id === 'hls.js') return resolve(hls, 'src/exports-named.ts');
      if (id === UNUSED) return { id, external: true, moduleSideEffects: false };
      return null;
    },
    generateBundle(_, bundle) {
      for (const file of Object.values(bundle)) {
        if (file.type === 'chunk' && file.imports.includes(UNUSED)) this.error(`${file.fileName} still imports ${UNUSED}`);
      }
    },
    // hls.js's modules only define things; saying so lets the bundler drop those nobody uses.
    transform: {
      filter: { id: /node_modules\/hls\.js\/src\// },
      handler: (code) => ({ code, map: null, moduleSideEffects: false }),
    },
  };
}
