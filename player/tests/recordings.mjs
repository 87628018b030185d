/**
 * Recordings of a running server, for viewers and for operators, in a real browser: `node --test tests/recordings.mjs`.
 *
 *   BASE_URL      the server, as a browser on the same machine reaches it (default http://127.0.0.1:8080)
 *   TOKEN         its API token (the file api-token in the data folder)
 *   RECORDING     id of a recording on it that is available and at least 20 s long
 *   LIVE          a stream that is live on it and may be recorded; without it those checks are skipped
 *   SHOTS         a folder for screenshots; without it none are kept
 *   CHROMIUM      the browser (default /usr/bin/chromium)
 *
 * What is said of the recording is changed and put back at the end; the clip and the recording that are made are deleted for good.
 * A recording of the live stream that runs already is stopped.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { checkAxe } from './axe.mjs';
import { BASE_URL, look, openBrowser, openPage, untilAt, untilMoving } from './page.mjs';
import { cuesOf, fitsPlayer, mockStoryboard, onBar, TILES, untilPicture } from './storyboard.mjs';

const { TOKEN, RECORDING, LIVE, SHOTS } = process.env;
const TITLE = `Test ${Date.now().toString(36)}`;
const TAG = TITLE.toLowerCase().replace(' ', '-');
const HOSTILE = `<img src=x onerror=alert(1)> ${TITLE}`;
const DESCRIPTION = 'First line\nSecond <b>line</b>';
const PAGE = `/recordings/${RECORDING}`;
const FOLDER = `/vod/${RECORDING}/`;
const OPERATED = `/dashboard/recordings/${RECORDING}`;
const NOBODY = '/recordings/00000000-0000-7000-8000-000000000000';
const WIDTHS = [375, 1440];
const SCHEMES = ['dark', 'light'];
const WAIT_MS = 8_000;

let browser;
/** The operator's, signed in. */
let page;
let length_s;
let original;
/** What was made here and has to go. */
const made = [];

before(async () => {
  assert.ok(TOKEN && RECORDING, 'TOKEN and RECORDING are set');
  original = await asked('GET', `/recordings/${RECORDING}`);
  assert.equal(original.status, 'available', 'the recording is available');
  length_s = original.duration_ms / 1000;
  assert.ok(length_s >= 20, `the recording is ${length_s} s long`);
  await asked('PATCH', `/recordings/${RECORDING}`, { title: TITLE, description: DESCRIPTION, tags: [TAG], visibility: 'public' });
  browser = await openBrowser();
  page = await open();
});
after(async () => {
  if (original) {
    const { title, description, tags, visibility } = original;
    await asked('POST', `/recordings/${RECORDING}/restore`).catch(() => undefined);
    await asked('PATCH', `/recordings/${RECORDING}`, { title, description, tags, visibility });
  }
  for (const id of made) await asked('DELETE', `/recordings/${id}`).catch(() => undefined);
  await browser?.close();
});

async function asked(method, path, body) {
  const headers = { authorization: `Bearer ${TOKEN}`, ...(body && { 'content-type': 'application/json' }) };
  const answer = await fetch(`${BASE_URL}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${await answer.text()}`);
  return answer.status === 204 ? null : answer.json();
}

/** A page with a fresh profile, or with the cookies of another one. */
async function open({ width = 1280, height = 900, colorScheme = 'dark', hasTouch = false, from } = {}) {
  const storageState = from && (await from.context().storageState());
  const context = await browser.newContext({
    viewport: { width, height }, colorScheme, hasTouch, storageState, ignoreHTTPSErrors: true, permissions: ['clipboard-read', 'clipboard-write'],
  });
  const opened = await context.newPage();
  opened.setDefaultTimeout(WAIT_MS);
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

const clean = (opened) => assert.deepEqual(opened.faults, [], 'the console is quiet and the content policy is kept');
const heading = (opened, text) => opened.waitForFunction((text) => document.querySelector('main h1')?.textContent === text, text, { timeout: WAIT_MS });
const shot = async (opened, name) => {
  if (SHOTS) await opened.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true });
};

/** Waits until a search is in the address: where there is only one recording, the list looks the same before and after. */
const untilSought = (opened, text) =>
  opened.waitForFunction((text) => new URLSearchParams(location.search).get('q') === text, text, { timeout: WAIT_MS });

test('the_library_is_one_press_from_home_and_finds_it_by_its_words', async () => {
  const viewer = await openPage(browser, '/');
  await viewer.click('header >> text=Recordings');
  await heading(viewer, 'Recordings');
  await viewer.fill('[role=search] input', TITLE.toUpperCase());
  await untilSought(viewer, TITLE.toUpperCase());
  await viewer.waitForFunction((title) => {
    const titles = [...document.querySelectorAll('.card-title')].map((each) => each.textContent);
    return titles.length === 1 && titles[0] === title;
  }, TITLE);
  await viewer.click(`.tag:has-text("${TAG}")`);
  await viewer.waitForSelector(`.tag[aria-pressed=true]:has-text("${TAG}")`);
  await viewer.fill('[role=search] input', 'no recording has these words');
  await viewer.waitForSelector('text=Nothing was found');
  await shot(viewer, 'library-nothing');
  await viewer.click('text=Show all recordings');
  await viewer.fill('[role=search] input', TITLE);
  await viewer.waitForFunction(() => document.querySelectorAll('.card').length === 1);
  await viewer.click('.card');
  await heading(viewer, TITLE);
  await untilMoving(viewer);
  clean(viewer);
  await viewer.context().close();
});

test('the_library_says_when_the_server_is_away_and_goes_on_by_itself', async () => {
  const viewer = await open();
  await viewer.route('**/api/v1/library*', (route) => route.abort());
  await viewer.goto(`${BASE_URL}/recordings`);
  await viewer.waitForSelector('.notice:has-text("does not answer")');
  await viewer.unroute('**/api/v1/library*');
  await viewer.waitForSelector('.card');
  assert.equal(await viewer.locator('.notice').count(), 0);
  clean(viewer);
  await viewer.context().close();
});

test('it_plays_and_goes_where_the_viewer_points', async () => {
  const viewer = await openPage(browser, PAGE);
  await untilMoving(viewer);
  await untilAt(viewer, 0, 5);
  assert.equal(await viewer.textContent('.description'), DESCRIPTION, 'the description is text');
  assert.equal(await viewer.locator('.description b').count(), 0);
  await viewer.keyboard.press('5');
  await untilAt(viewer, length_s / 2 - 1, length_s / 2 + 4);
  const bar = await viewer.locator('.seek-field').boundingBox();
  await viewer.mouse.move(bar.x + bar.width / 4, bar.y + bar.height / 2);
  await viewer.waitForSelector('.seek-hint.shown');
  await viewer.mouse.down();
  await viewer.mouse.up();
  await untilAt(viewer, length_s / 4 - 1, length_s / 4 + 4);
  const moved = await viewer.evaluate(() => document.querySelector('.seek-played').getAttribute('width'));
  assert.ok(Math.abs(Number(moved) - 250) < 150, `the bar is filled to ${moved} of 1000`);
  await shot(viewer, 'recording');
  clean(viewer);
  await viewer.context().close();
});

test('the_seek_bar_shows_the_picture_of_the_time_it_points_to', async () => {
  const viewer = await openPage(browser, PAGE);
  const asked = await mockStoryboard(viewer, FOLDER, length_s);
  await untilMoving(viewer);
  await viewer.mouse.move(300, 300);
  const before = await viewer.locator('media-play-button').boundingBox();
  assert.deepEqual(asked, [], 'nothing of it is loaded before it is wanted');
  for (const tile of [0, 3, 9, 10, 16, TILES - 1]) {
    await viewer.mouse.move(...(await onBar(viewer, (tile + 0.5) / TILES)));
    await untilPicture(viewer, tile);
    const { picture } = await fitsPlayer(viewer);
    assert.deepEqual([picture.width, picture.height], [160, 90]);
  }
  assert.deepEqual(asked, ['storyboard.vtt', 'storyboard-0.jpg', 'storyboard-1.jpg'], 'each is loaded once');
  assert.deepEqual(await viewer.locator('media-play-button').boundingBox(), before, 'nothing else moves');
  await shot(viewer, 'storyboard');
  await viewer.mouse.down();
  await viewer.mouse.move(...(await onBar(viewer, 12.5 / TILES)), { steps: 5 });
  await untilPicture(viewer, 12);
  await viewer.mouse.up();
  await untilAt(viewer, (12.4 / TILES) * length_s, (12.6 / TILES) * length_s + 4);
  await viewer.mouse.move(300, 300);
  await viewer.waitForSelector('.seek-picture', { state: 'hidden' });
  clean(viewer);
  await viewer.context().close();
});

test('a_drag_that_ends_where_it_began_lets_go_of_the_thumb', async () => {
  const viewer = await openPage(browser, PAGE);
  await untilMoving(viewer);
  await viewer.keyboard.press('k');
  await viewer.keyboard.press('Home');
  await viewer.waitForFunction(() => document.querySelector('.seek-field').value === '0');
  await viewer.mouse.move(...(await onBar(viewer, 0)));
  await viewer.mouse.down();
  for (const part of [0.5, 0]) await viewer.mouse.move(...(await onBar(viewer, part)), { steps: 4 });
  await viewer.mouse.up();
  await viewer.mouse.move(300, 300);
  await viewer.waitForSelector('.seek-hint', { state: 'hidden' });
  await viewer.context().close();
});

test('keys_on_the_seek_bar_show_the_picture_where_they_lead', async () => {
  const viewer = await openPage(browser, PAGE);
  await mockStoryboard(viewer, FOLDER, length_s);
  await untilMoving(viewer);
  await viewer.keyboard.press('k');
  await viewer.locator('.seek-field').focus();
  assert.equal(await viewer.locator('.seek-picture.shown').count(), 0, 'the focus alone shows nothing');
  for (const [key, tile] of [['End', TILES - 1], ['Home', 0]]) {
    await viewer.keyboard.press(key);
    await untilPicture(viewer, tile, () => viewer.keyboard.press(key));
  }
  assert.match(await viewer.getAttribute('.seek-field', 'aria-valuetext'), /^0 seconds of \d/);
  assert.equal(await viewer.locator('.seek-hint').getAttribute('aria-hidden'), 'true');
  await checkAxe(viewer, 'the seek bar with a picture');
  await viewer.waitForSelector('.seek-picture', { state: 'hidden' });
  clean(viewer);
  await viewer.context().close();
});

test('a_finger_on_a_phone_shows_smaller_pictures', async () => {
  const viewer = await open({ width: 375, height: 700, hasTouch: true });
  await viewer.goto(BASE_URL + PAGE);
  await mockStoryboard(viewer, FOLDER, length_s);
  await viewer.waitForFunction(() => document.querySelector('video')?.readyState >= 2);
  const hand = await viewer.context().newCDPSession(viewer);
  const touch = async (type, part) => {
    const [x, y] = part === undefined ? [] : await onBar(viewer, part);
    await hand.send('Input.dispatchTouchEvent', { type, touchPoints: part === undefined ? [] : [{ x, y }] });
  };
  // As with every player a first tap brings the controls, which are gone while it plays.
  await viewer.touchscreen.tap(180, 150);
  await viewer.waitForSelector('media-controller:not([userinactive])');
  await touch('touchStart', 5.5 / TILES);
  // A finger that rests on the bar keeps the controls, which fade two seconds after the tap.
  await viewer.waitForSelector('media-controller[userinactive]');
  await viewer.waitForTimeout(500);
  const shown = await viewer.locator('.vod-bar').evaluate((bar) => getComputedStyle(bar).opacity);
  assert.equal(shown, '1');
  for (const tile of [7, 14, TILES - 1, 0]) {
    await touch('touchMove', (tile + 0.5) / TILES);
    await untilPicture(viewer, tile);
    const { player, picture } = await fitsPlayer(viewer);
    assert.ok(picture.width < player.width / 2.9 && picture.width > 100, `it is ${picture.width} wide`);
  }
  await shot(viewer, 'storyboard-phone');
  await touch('touchEnd');
  await viewer.waitForSelector('.seek-picture', { state: 'hidden' });
  await viewer.waitForFunction((until) => document.querySelector('video').currentTime < until, (2 / TILES) * length_s + 4);
  clean(viewer);
  await viewer.context().close();
});

test('without_a_storyboard_the_seek_bar_shows_the_time_alone', async () => {
  const viewer = await openPage(browser, PAGE);
  let asked = 0;
  await viewer.route(`**${FOLDER}storyboard*`, (route) => {
    asked += 1;
    return route.fulfill({ status: 404, body: '' });
  });
  await untilMoving(viewer);
  for (const part of [0.2, 0.5, 0.8]) {
    await viewer.mouse.move(...(await onBar(viewer, part)));
    await viewer.waitForSelector('.seek-time');
  }
  assert.equal(await viewer.locator('.seek-picture').isVisible(), false);
  assert.equal(asked, 1);
  clean(viewer);
  await viewer.context().close();
});

test('the_storyboard_of_the_server_is_shown', async (t) => {
  const answer = await fetch(`${BASE_URL}${FOLDER}storyboard.vtt`);
  if (answer.status === 404) return t.skip('the server has none of this recording');
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('content-type'), /^text\/vtt/);
  const cues = cuesOf(await answer.text());
  assert.ok(cues.length > 0, 'it has cues');
  assert.ok(cues[0].from_s < 1 && cues.at(-1).until_s > length_s - 15, 'they reach from start to end');
  const cue = cues[Math.floor(cues.length / 2)];
  const viewer = await openPage(browser, PAGE);
  await untilMoving(viewer);
  const length = await viewer.evaluate(() => document.querySelector('video').duration);
  await viewer.mouse.move(...(await onBar(viewer, Math.min(1, (cue.from_s + cue.until_s) / 2 / length))));
  await viewer.waitForFunction((end) => {
    const picture = document.querySelector('.seek-picture.shown');
    return picture && getComputedStyle(picture).backgroundImage.endsWith(end);
  }, `${FOLDER}${cue.sheet}")`);
  await fitsPlayer(viewer);
  await shot(viewer, 'storyboard-server');
  clean(viewer);
  await viewer.context().close();
});

test('keyboard_does_what_the_help_says', async () => {
  const viewer = await openPage(browser, PAGE);
  await untilMoving(viewer);
  await viewer.keyboard.press('k');
  const time = async () => (await look(viewer)).video.time;
  const goes = async (key, to_s) => {
    await viewer.keyboard.press(key);
    await viewer.waitForFunction((to) => Math.abs(document.querySelector('video').currentTime - to) < 0.6, to_s, { timeout: WAIT_MS });
  };
  assert.equal((await look(viewer)).video.paused, true, 'k pauses');
  await goes('Home', 0);
  await goes('l', 10);
  await goes('j', 0);
  await goes('ArrowRight', 5);
  await goes('3', length_s * 0.3);
  await viewer.locator('.seek-field').focus();
  await goes('ArrowUp', (await time()) + 5);
  await goes('Home', 0);
  const said = await viewer.getAttribute('.seek-field', 'aria-valuetext');
  assert.match(said, /^0 seconds of \d/);
  await goes('End', length_s);
  await goes('Home', 0);
  await viewer.keyboard.press('k');
  await untilAt(viewer, 0, 5);
  await viewer.keyboard.press('End');
  await viewer.waitForFunction(() => document.querySelector('video').ended);
  await viewer.keyboard.press('Home');
  await untilAt(viewer, 0, 5);
  clean(viewer);
  await viewer.context().close();
});

test('speed_is_chosen_in_a_menu', async () => {
  const viewer = await openPage(browser, PAGE);
  await untilMoving(viewer);
  await viewer.mouse.move(300, 300);
  await viewer.click('.speed-button');
  // Until the menu has the focus, End is the player's.
  await viewer.waitForSelector('[role=menuitemradio]:focus');
  await viewer.keyboard.press('End');
  await viewer.keyboard.press('Enter');
  await viewer.waitForFunction(() => document.querySelector('.speed-now').textContent === '2×');
  assert.equal((await look(viewer)).video.rate, 2);
  assert.equal(await viewer.evaluate(() => document.activeElement.classList.contains('speed-button')), true, 'the focus is back');
  clean(viewer);
  await viewer.context().close();
});

test('an_address_with_a_time_begins_there', async () => {
  const at = Math.floor(length_s / 2);
  const viewer = await openPage(browser, `${PAGE}?t=${at}`);
  await untilMoving(viewer);
  await untilAt(viewer, at - 0.1, at + 5);
  await viewer.context().close();
});

test('the_link_to_this_time_is_copied', async () => {
  const viewer = await open();
  await viewer.goto(`${BASE_URL}${PAGE}?t=7`);
  await viewer.waitForFunction(() => document.querySelector('video')?.currentTime >= 7);
  await viewer.click('text=Copy link at this time');
  await viewer.waitForSelector('.copy-here [role=status]:has-text("Copied")');
  const copied = await viewer.evaluate(() => navigator.clipboard.readText());
  assert.match(copied, new RegExp(`${PAGE}\\?t=([7-9]|1[0-9])$`));
  clean(viewer);
  await viewer.context().close();
});

test('a_viewer_comes_back_to_where_it_was', async () => {
  const viewer = await openPage(browser, `${PAGE}?t=12`);
  await untilMoving(viewer);
  await untilAt(viewer, 12, 18);
  await viewer.goto(`${BASE_URL}/recordings`);
  await viewer.goto(BASE_URL + PAGE);
  await viewer.waitForSelector('.came-back');
  await untilAt(viewer, 11.9, 25);
  await viewer.click('text=From the start');
  await untilAt(viewer, 0, 5);
  clean(viewer);
  await viewer.context().close();
});

test('an_embedded_one_is_the_player_alone', async () => {
  const viewer = await openPage(browser, `/embed${PAGE}`, { width: 640, height: 360 });
  await untilMoving(viewer);
  const box = await viewer.locator('media-controller').boundingBox();
  assert.deepEqual([box.width, box.height], [640, 360]);
  assert.equal(await viewer.locator('header').count(), 0);
  clean(viewer);
  await viewer.context().close();
});

test('one_that_is_not_there_is_told_of_in_words', async () => {
  const viewer = await open();
  await viewer.goto(BASE_URL + NOBODY);
  await heading(viewer, 'There is no such recording');
  clean(viewer);
  await viewer.context().close();
});

test('one_that_goes_while_it_is_watched_is_gone_in_words', async () => {
  const viewer = await openPage(browser, PAGE);
  await untilMoving(viewer);
  const missing = (route) => route.fulfill({ status: 404, contentType: 'application/json', body: '{"code":"none","message":"None."}' });
  await viewer.route('**/vod/**', missing);
  await viewer.route('**/api/v1/library/*', missing);
  await viewer.keyboard.press('9');
  await viewer.waitForFunction(() => document.querySelector('.words h2')?.textContent === 'This recording is gone', null, { timeout: 20_000 });
  await shot(viewer, 'recording-gone');
  clean(viewer);
  await viewer.context().close();
});

test('a_lost_network_is_told_of_and_the_picture_goes_on_where_it_was', async () => {
  const viewer = await openPage(browser, PAGE);
  await untilMoving(viewer);
  await viewer.context().setOffline(true);
  await viewer.keyboard.press('9');
  // A short one is in the buffer as a whole, and needs no network any more: then it plays on and ends while nobody says anything.
  const goesOn = untilAt(viewer, length_s * 0.9 - 1, length_s).then(() => null, () => new Promise(() => undefined));
  const words = await Promise.race([viewer.waitForSelector('.words', { timeout: 20_000 }), goesOn]);
  if (words) assert.match(await words.textContent(), /offline/);
  await shot(viewer, 'recording-offline');
  await viewer.context().setOffline(false);
  if (words) await untilAt(viewer, length_s * 0.9 - 1, length_s);
  // The picture may have moved on out of the buffer just before there were words.
  await viewer.waitForFunction(() => !document.querySelector('.words'));
  await viewer.context().close();
});

test('the_operator_signs_in_and_finds_it', async () => {
  await page.goto(`${BASE_URL}/dashboard/recordings`);
  await page.fill('input[type=password]', TOKEN);
  await page.keyboard.press('Enter');
  await heading(page, 'Recordings');
  await page.fill('[role=search] input', TITLE);
  await untilSought(page, TITLE);
  await page.waitForFunction(() => document.querySelectorAll('.kept-row').length === 1);
  await page.selectOption('.narrowing label:has-text("Status") select', 'failed');
  await page.waitForSelector('text=Nothing was found');
  await page.selectOption('.narrowing label:has-text("Status") select', '');
  await page.click(`.row-name a:text-is("${TITLE}")`);
  await heading(page, TITLE);
  assert.equal(new URL(page.url()).pathname, OPERATED);
  await page.goBack();
  await page.waitForFunction(() => document.querySelectorAll('.kept-row').length === 1);
  assert.equal(await page.inputValue('[role=search] input'), TITLE, 'the search is still there');
  await page.goForward();
  await heading(page, TITLE);
  clean(page);
});

test('a_hostile_title_stays_text_everywhere', async () => {
  await page.fill('.details-form input >> nth=0', HOSTILE);
  await page.click('text=Save details');
  await page.waitForSelector('.details-form [role=status]:has-text("Saved.")');
  await heading(page, HOSTILE);
  const said = await asked('GET', `/recordings/${RECORDING}`);
  assert.deepEqual([said.title, said.description, said.tags], [HOSTILE, DESCRIPTION, [TAG]], 'what was not edited is as it was');
  for (const path of [PAGE, `/recordings?tag=${TAG}`, `/dashboard/recordings?tag=${TAG}`]) {
    const looked = await open({ from: page });
    await looked.goto(BASE_URL + path);
    await looked.waitForFunction((title) => document.querySelector('main')?.textContent.includes(title), HOSTILE);
    assert.equal(await looked.locator('img[src="x"]').count(), 0, path);
    clean(looked);
    await looked.context().close();
  }
  clean(page);
});

test('keys_typed_beside_the_player_are_text', async () => {
  const tags = page.locator('.details-form input').nth(1);
  await tags.fill('');
  await tags.pressSequentially('make 5 jokes');
  assert.equal(await tags.inputValue(), 'make 5 jokes');
  await page.click('text=Discard');
  assert.equal(await tags.inputValue(), TAG);
});

test('the_operators_player_waits_to_be_started', async () => {
  await page.click('.recording-page .start');
  await page.waitForFunction(() => document.querySelector('video').currentTime > 0.2);
  await page.locator('.recording-page media-play-button').focus();
  await page.keyboard.press('k');
  await page.waitForFunction(() => document.querySelector('video').paused);
});

test('a_clip_is_cut_where_the_player_stands', async () => {
  const times = page.locator('.clip-time input');
  await page.keyboard.press('Home');
  await page.keyboard.press('l');
  await page.waitForFunction(() => Math.abs(document.querySelector('video').currentTime - 10) < 0.6);
  await page.click('text=Start here');
  assert.match(await times.nth(0).inputValue(), /^0:(09|10)\.\d$/);
  await times.nth(1).fill('0:05');
  await page.waitForSelector('.clip-form:has-text("after the start")');
  assert.ok(await page.isDisabled('text=Make clip'));
  await times.nth(1).fill('0:15');
  await page.waitForFunction(() => /The clip will be \d second/.test(document.querySelector('.clip-form').textContent));
  await page.fill('.clip-form .field:has-text("Title") input', `${TITLE} clip`);
  await page.click('text=Make clip');
  await page.waitForSelector('.clip-form [role=status] a');
  await shot(page, 'dashboard-clip');
  await page.click('.clip-form [role=status] a');
  await heading(page, `${TITLE} clip`);
  const id = new URL(page.url()).pathname.split('/').at(-1);
  made.push(id);
  const clip = await asked('GET', `/recordings/${id}`);
  assert.equal(clip.clip_of, RECORDING);
  assert.ok(clip.duration_ms > 3_000 && clip.duration_ms < 20_000, `it is ${clip.duration_ms} ms long`);
  clean(page);
});

test('the_recording_goes_to_the_trash_and_comes_back', async () => {
  await page.goto(BASE_URL + OPERATED);
  await page.click('text=Move to trash');
  await page.waitForSelector('text=In the trash since');
  await page.waitForSelector('.in-trash');
  await shot(page, 'dashboard-trashed');
  const viewer = await open();
  await viewer.goto(BASE_URL + PAGE);
  await heading(viewer, 'There is no such recording');
  await viewer.context().close();
  await page.goto(`${BASE_URL}/dashboard/recordings?trashed=true`);
  await heading(page, 'Trash');
  await page.click(`.row-name a[href="${OPERATED}"]`);
  await page.click('.head-buttons >> text=Restore');
  await page.waitForSelector('text=Move to trash');
  assert.equal((await asked('GET', `/recordings/${RECORDING}`)).trashed_ms, null);
  clean(page);
});

test('the_clip_is_deleted_when_the_word_was_typed', async () => {
  const [id] = made;
  await page.goto(`${BASE_URL}/dashboard/recordings/${id}`);
  await page.click('text=Move to trash');
  await page.click('text=Delete for good…');
  assert.ok(await page.isDisabled('dialog button[type=submit]'));
  await page.fill('dialog input', 'delete');
  await page.click('dialog button[type=submit]');
  await heading(page, 'Recordings');
  assert.equal(await page.locator(`.row-name a[href$="${id}"]`).count(), 0);
  await page.goto(`${BASE_URL}/dashboard/recordings/${id}`);
  await heading(page, 'There is no such recording');
  made.shift();
  clean(page);
});

test('a_live_stream_is_recorded_from_a_while_ago_and_can_be_rewound', { skip: !LIVE && 'LIVE is not set' }, async () => {
  await page.goto(`${BASE_URL}/dashboard/streams/${LIVE}`);
  await page.waitForSelector('.record-panel');
  const runs = page.locator('.record-panel >> text=Stop recording');
  if (await runs.count()) await runs.click();
  await page.click('.record-panel >> text=Record from 5 min ago');
  await page.waitForSelector('.record-clock');
  const first = await page.textContent('.record-clock');
  await page.waitForFunction((first) => document.querySelector('.record-clock').textContent !== first, first);
  await shot(page, 'dashboard-recording-now');
  const { recording } = await asked('GET', `/streams/${LIVE}`);
  made.push(recording.id);
  await asked('PATCH', `/recordings/${recording.id}`, { visibility: 'unlisted' });
  const viewer = await openPage(browser, `/recordings/${recording.id}`);
  await viewer.waitForSelector(`a.badge[href="/watch/${LIVE}"]:has-text("Live now")`);
  await untilMoving(viewer, 15_000);
  await viewer.keyboard.press('Home');
  await untilAt(viewer, 0, 5);
  const before = await viewer.evaluate(() => document.querySelector('video').duration);
  await viewer.waitForFunction((before) => document.querySelector('video').duration > before, before, { timeout: 15_000 });
  await shot(viewer, 'recording-live');
  clean(viewer);
  await viewer.context().close();
  await page.click('.record-panel >> text=Stop recording');
  await page.waitForSelector('.record-panel >> text=Open the recording');
  assert.equal((await asked('GET', `/streams/${LIVE}`)).recording, null);
  clean(page);
});

test('the_audit_tells_of_it_in_words', async () => {
  await page.goto(`${BASE_URL}/dashboard/audit`);
  for (const words of ['Clip made', 'Recording restored', 'Recording deleted for good']) await page.waitForSelector(`.audit b:text-is("${words}")`);
});

for (const width of WIDTHS) {
  for (const colorScheme of SCHEMES) {
    test(`no_page_has_a_fault_of_accessibility_at_${width}_${colorScheme}`, async () => {
      const looked = await open({ width, colorScheme, from: page });
      const live = LIVE ? [[`/dashboard/streams/${LIVE}`, '.record-panel', 'stream']] : [];
      for (const [path, waits, name] of [
        ['/', '.places', 'home'],
        ['/recordings', '.card', 'library'],
        ['/recordings?q=no+recording+has+these+words', '.nothing', 'library-nothing'],
        [PAGE, '.description', 'recording'],
        [NOBODY, '.nothing', 'recording-nobody'],
        [`/embed${PAGE}`, 'media-controller', 'recording-embed'],
        ['/dashboard/recordings', '.kept-row', 'dashboard-recordings'],
        ['/dashboard/recordings?q=no+recording+has+these+words', '.hint', 'dashboard-recordings-nothing'],
        [OPERATED, '.recording-page media-controller', 'dashboard-recording'],
        ...live,
      ]) {
        await looked.goto(BASE_URL + path);
        await looked.waitForSelector(waits);
        await checkAxe(looked, path);
        assert.ok(await looked.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${path} fits ${width}`);
        if (name !== 'recording-embed' && name !== 'home') assert.equal(await looked.locator('h1').count(), 1, `${path} has a heading`);
        const fits = await looked.$$eval('.bar > *, .bar button', (items) => items.every((item) => {
          const box = item.getBoundingClientRect();
          return box.width === 0 || (box.left >= 0 && box.right <= innerWidth + 0.5);
        }));
        assert.ok(fits, `every control of ${path} is on the screen`);
        await shot(looked, `${name}-${width}-${colorScheme}`);
      }
      assert.deepEqual(looked.faults, []);
      await looked.context().close();
    });
  }
}
