/** What axe-core finds wrong with a page for people who see, hear or point otherwise. For the tests beside it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export async function checkAxe(opened, what) {
  // Through the debugger: the page's own content policy stays as it is.
  await opened.evaluate(AXE);
  const { violations } = await opened.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).slice(0, 4).join(', ')}`);
  assert.deepEqual(told, [], `axe finds nothing on ${what}`);
}
