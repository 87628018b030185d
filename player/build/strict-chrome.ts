/**
 * Makes media-chrome live under `style-src 'self'`. Its elements write `<style>` text into their shadow roots, which
 * that policy refuses (muxinc/media-chrome issue 898, open). This plugin sends those writes through
 * `src/chrome/shadow.ts`, which uses constructed style sheets instead; the policy then needs no exception.
 *
 * A media-chrome release that writes its shadow roots in another way stops the build here instead of losing its
 * styles in the browser.
 */
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const shadow = resolve(root, 'src/chrome/shadow.ts');
const FROM_CHROME = /node_modules\/media-chrome\/dist\//;

const WRITES: readonly RegExp[] = [
  /this\.shadowRoot\.setHTMLUnsafe \? this\.shadowRoot\.setHTMLUnsafe\(html\) : this\.shadowRoot\.innerHTML = (html);/g,
  /this\.shadowRoot\.innerHTML = (this\.constructor\.getTemplateHTML\(attrs\));/g,
];
const RULES = ['getCSSRule', 'getOrInsertCSSRule', 'insertCSSRule'];

export function strictChrome(): Plugin {
  return {
    name: 'weir:strict-chrome',
    enforce: 'pre',
    transform: {
      filter: { id: FROM_CHROME },
      handler(code, id) {
        let out = code;
        for (const write of WRITES) out = out.replace(write, 'fillShadow(this.shadowRoot, $1);');
        if (/shadowRoot\.(innerHTML|setHTMLUnsafe)/.test(out)) {
          this.error(`${id} writes its shadow root in a way build/strict-chrome.ts does not know`);
        }
        if (out !== code) return { code: `import { fillShadow } from ${JSON.stringify(shadow)};\n${out}`, map: null };
        if (!id.endsWith('/utils/element-utils.js')) return null;
        for (const name of RULES) {
          if (!out.includes(`function ${name}(`)) this.error(`${id} no longer has ${name}`);
          out = out.replace(`function ${name}(`, `function unused_${name}(`);
        }
        return { code: `import { ${RULES.join(', ')} } from ${JSON.stringify(shadow)};\n${out}`, map: null };
      },
    },
  };
}
