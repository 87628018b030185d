// Opens a stream's dock and its page in the dashboard, and reports what they told the streamer, as one JSON object on the last line.
// usage: TOKEN=… node advice.mjs BASE_URL STREAM [--seconds 30] [--until Good] [--screenshots PREFIX]
//   --until VERDICT: ends early once both have said that for three seconds, after they said something else while it was live
// `says` of each: what was said from when on, `s` in seconds since the page first saw the stream live.
import { open, options } from './chromium.mjs';

const given = options({ seconds: '30', until: '' });
const [base, stream] = given.words;
const token = process.env.TOKEN;
const LOOK_MS = 200;
const SAID_MS = 3_000;

const { browser, page: dock, errors } = await open({ width: 320, height: 420 });
const context = dock.context();
const api = context.request;
const headers = { authorization: `Bearer ${token}` };
const seen = { dock: { says: [] }, dashboard: { says: [] }, errors };

/** What a page says now: verdict, cure, and whether the stream is live. */
const looks = {
  dock: () => {
    const text = (place) => document.querySelector(place)?.textContent ?? '';
    return { verdict: text('.dock-verdict > p'), cure: text('.dock-cure'), live: text('.dock-state').includes('Live') };
  },
  dashboard: () => {
    const text = (place) => document.querySelector(place)?.textContent ?? '';
    const verdict = text('.health h2').replace('Health: ', '');
    return { verdict, cure: text('.worst .cure'), live: text('.page-head .facts').includes('Live') };
  },
};

async function note(report, page, look) {
  const { verdict, cure, live } = await page.evaluate(look);
  if (live) report.since ??= Date.now();
  const last = report.says.at(-1);
  if (!report.since || (last?.verdict === verdict && last?.cure === cure)) return;
  report.says.push({ s: (Date.now() - report.since) / 1000, verdict, cure });
  report.changed = Date.now();
}

const settled = ({ says, changed }) => says.length > 1 && says.at(-1).verdict === given.until && Date.now() - changed > SAID_MS;

try {
  const signedIn = await api.post(`${base}/api/v1/session`, { data: { token }, headers: { origin: base } });
  if (!signedIn.ok()) throw new Error(`signing in was answered with ${signedIn.status()}`);
  const { path } = await (await api.get(`${base}/api/v1/streams/${stream}/dock`, { headers })).json();
  const dashboard = await context.newPage();
  await dashboard.setViewportSize({ width: 1280, height: 900 });
  dashboard.on('pageerror', (error) => errors.push(String(error)));
  await Promise.all([dock.goto(base + path), dashboard.goto(`${base}/dashboard/streams/${stream}`)]);
  const until = Date.now() + Number(given.seconds) * 1000;
  while (Date.now() < until && !(settled(seen.dock) && settled(seen.dashboard))) {
    await note(seen.dock, dock, looks.dock);
    await note(seen.dashboard, dashboard, looks.dashboard);
    await dock.waitForTimeout(LOOK_MS);
  }
  if (given.screenshots) {
    await dock.screenshot({ path: `${given.screenshots}-dock.png` });
    await dashboard.screenshot({ path: `${given.screenshots}-dashboard.png` });
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
