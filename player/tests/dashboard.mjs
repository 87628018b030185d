/**
 * The operator's pages of a running server, in a real browser: `node --test tests/dashboard.mjs`.
 *
 *   BASE_URL      the server, as a browser on the same machine reaches it (default http://127.0.0.1:8080)
 *   TOKEN         its API token (the file api-token in the data folder)
 *   STREAM        a stream that is live on it, looked at and not touched; without it those checks are skipped
 *   SHOTS         a folder for screenshots; without it none are kept
 *   CHROMIUM      the browser (default /usr/bin/chromium)
 *
 * It adds one stream with a name of its own, works on that alone, and removes it at the end.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { checkAxe } from './axe.mjs';
import { BASE_URL, openBrowser } from './page.mjs';

const { TOKEN, SHOTS, STREAM } = process.env;
const NAME = `test-${Date.now().toString(36)}`;
const PAGE = `/dashboard/streams/${NAME}`;
const HOSTILE = '<img src=x onerror=alert(1)>';
/** 16 times 16 pixels of grey. */
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAAAAAA6mKC9AAAACXBIWXMAAAABAAAAAQBPJcTWAAAAD0lEQVR4nGNoQAMMI1sAAAUMgAFaSOXNAAAAAElFTkSuQmCC';
const WIDTHS = [375, 1440];
const SCHEMES = ['dark', 'light'];
/** What a person with no mouse tabs through at most to reach a thing on these pages. */
const TABS_MAX = 60;

let browser;
let page;
let key;

before(async () => {
  assert.ok(TOKEN, 'TOKEN is set');
  browser = await openBrowser();
  page = await open();
});
after(async () => {
  if (TOKEN) await fetch(`${BASE_URL}/api/v1/streams/${NAME}`, { method: 'DELETE', headers: { authorization: `Bearer ${TOKEN}` } });
  await browser?.close();
});

/** A page with a fresh profile, or with the cookies of another one. */
async function open({ width = 1280, height = 900, colorScheme = 'dark', from } = {}) {
  const storageState = from && (await from.context().storageState());
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, storageState, ignoreHTTPSErrors: true });
  const opened = await context.newPage();
  opened.setDefaultTimeout(8_000);
  opened.faults = [];
  opened.on('pageerror', (error) => opened.faults.push(`${error.name}: ${error.message}`));
  opened.on('console', (message) => {
    // The browser writes a line of its own for every refused request, also for those the page expects.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) opened.faults.push(message.text());
  });
  opened.on('dialog', (dialog) => {
    opened.faults.push(`the browser asked: ${dialog.message()}`);
    void dialog.dismiss();
  });
  return opened;
}

const heading = (text) => page.waitForFunction((text) => document.querySelector('main h1')?.textContent === text, text);
const shot = async (name) => {
  if (SHOTS) await page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true });
};
const clean = () => assert.deepEqual(page.faults, [], 'the console is quiet and the content policy is kept');
const asked = (path) =>
  fetch(`${BASE_URL}/api/v1${path}`, { headers: { authorization: `Bearer ${TOKEN}` } }).then((answer) => answer.json());

/** What the fields with a Copy button hold. */
const copyFields = (inside) => page.$$eval(`${inside} .copy input`, (inputs) => inputs.map((input) => input.value));

/** Tabs until the element with this text has the focus, as someone without a mouse does. */
async function tabTo(text) {
  for (let i = 0; i < TABS_MAX; i += 1) {
    if ((await page.evaluate(() => document.activeElement?.textContent)) === text) return;
    await page.keyboard.press('Tab');
  }
  assert.fail(`${text} is not reached with the Tab key`);
}

test('a_stranger_sees_the_door_and_where_the_token_lies', async () => {
  await page.goto(`${BASE_URL}${PAGE}`);
  await heading('Sign in');
  assert.match(await page.textContent('main'), /api-token/);
  assert.equal(await page.locator('nav').count(), 0);
  await shot('dashboard-sign-in');
});

test('a_wrong_token_is_refused_in_words', async () => {
  await page.fill('input[type=password]', 'wt_wrong');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelector('[role=alert]')?.textContent.length > 10);
  assert.equal(await page.textContent('main h1'), 'Sign in');
});

test('the_token_opens_the_page_that_was_asked_for', async () => {
  await page.fill('input[type=password]', TOKEN);
  await page.keyboard.press('Enter');
  await heading(`There is no stream ${NAME}`);
  assert.equal(new URL(page.url()).pathname, PAGE);
});

test('a_new_stream_shows_its_key_once_with_what_obs_needs', async () => {
  await page.click('nav >> text=Streams');
  await heading('Streams');
  await page.waitForSelector('button:has-text("Add stream")');
  // The first stream of a server is added in the page, every other one in a dialog.
  if (!(await page.locator('main form').count())) await page.click('button:has-text("Add stream")');
  await page.fill('form input >> nth=0', NAME);
  await page.fill('form input >> nth=1', HOSTILE);
  await page.click('form button[type=submit]');
  await page.waitForSelector(`dialog h2:has-text("${NAME} is ready")`);
  await page.waitForSelector('dialog >> text="Server"');
  const values = await copyFields('dialog');
  key = values.find((value) => value.startsWith('wk_'));
  assert.ok(key, `a key among ${values.length} fields`);
  assert.ok(values.some((value) => /^rtmps?:\/\//.test(value)), 'the server for OBS');
  const words = await page.textContent('dialog');
  for (const needed of ['Custom', 'Keyframe interval', '2 s', 'CBR', 'B-frames', '48 kHz']) assert.ok(words.includes(needed), needed);
  await shot('dashboard-key');
});

test('escape_does_not_lose_a_key_that_was_not_copied', async () => {
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog [role=alert]:visible');
  assert.equal(await page.locator('dialog[open]').count(), 1);
});

test('a_hostile_title_stays_text', async () => {
  await page.click('dialog >> text=Open the stream');
  await heading(HOSTILE);
  assert.equal(await page.locator('img[src="x"]').count(), 0);
  await page.click('nav >> text=Streams');
  await page.waitForSelector(`.row-name a:text-is("${HOSTILE}")`);
  assert.equal(await page.locator('img[src="x"]').count(), 0);
  await page.click(`.row-name a[href="${PAGE}"]`);
  await heading(HOSTILE);
  assert.ok(!(await page.content()).includes(key), 'the key is nowhere any more');
  clean();
});

test('back_and_forward_go_through_the_pages', async () => {
  await page.goBack();
  await heading('Streams');
  await page.goForward();
  await heading(HOSTILE);
});

test('title_and_reconnect_window_are_saved', async () => {
  await page.fill('.settings input >> nth=0', 'Friday show');
  await page.selectOption('#set-window', 'own');
  await page.fill('[aria-label^="Seconds"]', '45');
  await page.click('text=Save settings');
  await page.waitForSelector('.settings [role=status]:has-text("Saved.")');
  await heading('Friday show');
  const { title, reconnect_window_s } = await asked(`/streams/${NAME}`);
  assert.deepEqual([title, reconnect_window_s], ['Friday show', 45]);
});

test('a_setting_that_cannot_be_is_refused_before_it_is_sent', async () => {
  await page.fill('[aria-label^="Seconds"]', '301');
  await page.click('text=Save settings');
  await page.waitForSelector('.settings [role=alert]:has-text("0 to 300")');
  await page.click('text=Discard');
  assert.equal(await page.inputValue('[aria-label^="Seconds"]'), '45');
});

test('a_slate_image_is_shown_and_removed', async () => {
  const png = Buffer.from(PNG, 'base64');
  await page.setInputFiles('input[type=file]', { name: 'slate.png', mimeType: 'image/png', buffer: png });
  await page.waitForFunction(() => {
    const image = document.querySelector('.slate img');
    return image?.complete && image.naturalWidth > 0;
  });
  await page.click('text=Remove image');
  await page.waitForFunction(() => !document.querySelector('.slate img'));
});

test('a_copy_for_another_server_is_added_checked_stopped_and_removed', async () => {
  const secret = 'live_hunter2';
  const targets = async () => (await asked(`/streams/${NAME}/targets`)).targets;
  await page.waitForSelector('.targets >> text=None. Add YouTube');
  await page.click('text=Add target…');
  await page.selectOption('dialog select', 'custom');
  await page.fill('dialog input[placeholder^="rtmps"]', 'rtmp://127.0.0.1/live');
  await page.fill('dialog input[type=password]', secret);
  await page.click('dialog button[type=submit]');
  await page.waitForSelector('dialog [role=alert]:has-text("this machine itself")');
  await page.fill('dialog input[placeholder^="rtmps"]', 'rtmp://nobody.invalid/live');
  await page.click('dialog button[type=submit]');
  await page.waitForSelector('.target-list >> text=Waiting for the stream');
  await page.waitForFunction(() => !document.querySelector('dialog'));
  assert.ok(!(await page.content()).includes(secret), 'the key is nowhere any more');
  await page.click('[aria-label="Check nobody.invalid"]');
  await page.waitForSelector('.target-list [role=status]:has-text("There is no host nobody.invalid")');
  await page.click('[aria-label="Stop nobody.invalid"]');
  await page.waitForSelector('.target-list .chip:has-text("Stopped")');
  assert.deepEqual((await targets()).map(({ state }) => state), ['paused']);
  await shot('dashboard-targets');
  await page.click('[aria-label="Remove nobody.invalid"]');
  await page.click('dialog >> text=Remove target');
  await page.waitForSelector('.targets >> text=None. Add YouTube');
  assert.deepEqual(await targets(), []);
  clean();
});

test('a_key_is_rotated_and_the_old_one_revoked', async () => {
  const before = (await asked(`/streams/${NAME}`)).keys.map(({ id }) => id);
  await page.click('.block >> text=New key…');
  await page.click('dialog >> text=Works for one more hour');
  await page.click('dialog >> text=Make new key');
  await page.waitForSelector('dialog >> text=I have the key');
  const fresh = (await copyFields('dialog')).find((value) => value.startsWith('wk_'));
  assert.ok(fresh && fresh !== key);
  await page.click('dialog >> text=I have the key');
  await page.waitForFunction(() => document.querySelectorAll('.keys-list li').length === 2);
  await page.click(`[aria-label="Revoke key ${before[0]}"]`);
  await page.click('dialog >> text=Keep it');
  assert.equal((await asked(`/streams/${NAME}`)).keys.length, 2);
  await page.click(`[aria-label="Revoke key ${before[0]}"]`);
  await page.click('dialog button:has-text("Revoke key")');
  await page.waitForFunction(() => document.querySelectorAll('.keys-list li').length === 1);
  assert.ok(!(await asked(`/streams/${NAME}`)).keys.some(({ id }) => id === before[0]));
});

test('stop_and_allow_go_by_keyboard_and_give_the_focus_back', async () => {
  await page.evaluate(() => document.querySelector('main h1').focus());
  await tabTo('Stop stream');
  await page.keyboard.press('Enter');
  await page.waitForSelector('dialog[open]');
  for (let i = 0; i < 6; i += 1) {
    await page.keyboard.press('Tab');
    assert.ok(
      await page.evaluate(() => document.activeElement === document.body || document.activeElement.closest('dialog') !== null),
      'the focus stays in the dialog',
    );
  }
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => !document.querySelector('dialog'));
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Stop stream');
  await page.keyboard.press('Enter');
  await page.waitForSelector('dialog[open]');
  await tabTo('Stop stream');
  await page.keyboard.press('Enter');
  await page.waitForSelector('text=Stopped by an operator until');
  assert.ok((await asked(`/streams/${NAME}`)).stopped_until_ms > Date.now());
  await tabTo('Allow now');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => !document.body.textContent.includes('Stopped by an operator until'));
  assert.equal((await asked(`/streams/${NAME}`)).stopped_until_ms, null);
});

test('the_dock_says_how_the_stream_is_and_keeps_its_token_to_itself', async () => {
  await page.click('text=Show the address');
  await page.waitForSelector('text=Dock address');
  const address = (await copyFields('main')).find((value) => value.includes('/dock/'));
  const dock = await open({ width: 300, height: 400 });
  await dock.goto(address);
  await dock.waitForSelector('.dock-verdict');
  const token = new URL(address).searchParams.get('token');
  const seen = await dock.evaluate(() => [document.title, document.body.innerHTML, JSON.stringify({ ...localStorage, ...sessionStorage })]);
  assert.ok(seen.every((part) => !part.includes(token)), 'the token is in no title, element or storage');
  await checkAxe(dock, 'dock');
  await dock.setViewportSize({ width: 260, height: 200 });
  assert.ok(await dock.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing is wider than the dock');
  assert.deepEqual(dock.faults, []);
  await dock.goto(`${address}x`);
  await dock.waitForSelector('text=The address is no longer good');
  await dock.context().close();
});

test('a_live_stream_is_shown_as_it_goes', { skip: !STREAM && 'STREAM is not set' }, async () => {
  await page.goto(`${BASE_URL}/dashboard/streams/${STREAM}`);
  await page.waitForSelector('.health h2');
  await page.waitForSelector('.preview media-controller');
  assert.equal(await page.evaluate(() => document.querySelector('.preview video').muted), true, 'the preview is silent');
  await page.waitForSelector('.chart .line[d^=M]');
  const drawn = () => page.getAttribute('.chart .line', 'd');
  const first = await drawn();
  await page.waitForFunction((first) => document.querySelector('.chart .line').getAttribute('d') !== first, first);
  const words = await page.getAttribute('.chart svg', 'aria-label');
  assert.match(words, /in the last 10 minutes between [\d,.]+ and [\d,.]+ kb\/s/);
  clean();
});

test('keys_typed_beside_the_preview_are_text', { skip: !STREAM && 'STREAM is not set' }, async () => {
  const title = page.locator('.settings input').first();
  await title.fill('');
  await title.pressSequentially('make it look flip');
  assert.equal(await title.inputValue(), 'make it look flip');
  assert.equal(await page.evaluate(() => document.querySelector('.preview video').muted), true);
  await page.click('text=Discard');
});

test('the_audit_tells_what_was_done', async () => {
  await page.click('nav >> text=Audit');
  await heading('Audit');
  await page.waitForFunction((name) => {
    const row = [...document.querySelectorAll('.audit li')].find((row) => row.textContent.includes(name));
    return row?.textContent.includes('allowed') ?? false;
  }, NAME);
});

test('the_server_page_has_its_figures', async () => {
  await page.click('nav >> text=Server');
  await heading('Server');
  await page.waitForSelector('.gauge-figure');
  const figures = await page.$$eval('.gauge-figure b', (all) => all.map((each) => each.textContent));
  assert.ok(figures.every((figure) => /\d/.test(figure)), `figures ${figures}`);
  clean();
});

test('the_last_figures_stay_when_the_server_is_away', async () => {
  await page.context().setOffline(true);
  await page.waitForSelector('.notice:has-text("does not answer")');
  assert.ok((await page.locator('.gauge-figure').count()) > 0);
  await page.context().setOffline(false);
  await page.waitForFunction(() => !document.querySelector('.notice'));
});

for (const width of WIDTHS) {
  for (const colorScheme of SCHEMES) {
    test(`no_page_has_a_fault_of_accessibility_at_${width}_${colorScheme}`, async () => {
      const looked = await open({ width, colorScheme, from: page });
      const live = STREAM ? [[`/dashboard/streams/${STREAM}`, '.chart .line[d^=M]']] : [];
      for (const [path, waits] of [
        ['/dashboard', '.rows'], [PAGE, '.settings'], ['/dashboard/server', '.gauges'], ['/dashboard/audit', '.audit'], ...live,
      ]) {
        await looked.goto(BASE_URL + path);
        await looked.waitForSelector(waits);
        await checkAxe(looked, path);
        assert.ok(await looked.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${path} fits ${width}`);
        assert.equal(await looked.locator('h1').count(), 1);
        const name = path.slice(1).replaceAll('/', '-').replace(NAME, 'new');
        if (SHOTS) await looked.screenshot({ path: `${SHOTS}/${name}-${width}-${colorScheme}.png`, fullPage: true });
      }
      assert.deepEqual(looked.faults, []);
      await looked.context().close();
    });
  }
}

test('a_stream_is_removed_when_its_name_was_typed', async () => {
  await page.goto(BASE_URL + PAGE);
  await page.click('text=Remove stream…');
  assert.ok(await page.isDisabled('dialog button[type=submit]'));
  await page.fill('dialog input', NAME);
  await page.click('dialog button[type=submit]');
  await heading('Streams');
  assert.equal(await page.locator(`a[href="${PAGE}"]`).count(), 0);
});

test('signing_out_closes_the_door', async () => {
  await page.click('text=Sign out');
  await heading('Sign in');
  await page.goto(`${BASE_URL}/dashboard/audit`);
  await heading('Sign in');
  clean();
});
