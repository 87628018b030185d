import { expect, it } from 'vitest';
import { firstLoad } from './measure.ts';

it('counts_the_page_its_links_and_what_its_scripts_import', () => {
  const files: Record<string, string> = {
    'watch.html': '<link rel="icon" href="/favicon.svg"><script src="/assets/watch-1.js"></script><link href="/assets/style-1.css"><a href="/">x</a>',
    'assets/watch-1.js': 'import{a}from"./marks-1.js";import"./viewer-1.js";',
    'assets/marks-1.js': 'import{b}from"./viewer-1.js"',
    'assets/viewer-1.js': '',
  };
  const load = firstLoad('watch.html', (name) => files[name] ?? '');
  expect(load.sort()).toEqual(['assets/marks-1.js', 'assets/style-1.css', 'assets/viewer-1.js', 'assets/watch-1.js', 'favicon.svg', 'watch.html']);
});
