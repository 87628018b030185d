// Plays a stream with stock hls.js on an empty page and reports what a viewer sees, as one JSON object on the last line.
// usage: node stock.mjs URL [--seconds 20]
//   moved: for each second since the first picture, whether it moved in it
//   behind_s: at the end of each of these seconds, how far the date shown is behind the clock
//   fatal: what hls.js could not go on after
import { createRequire } from 'node:module';
import { open, options } from './chromium.mjs';

const require = createRequire(new URL('../../player/package.json', import.meta.url));
const given = options({ seconds: '20', width: '640', height: '360' });
const { browser, page } = await open(given);
const seen = {};
try {
  await page.exposeFunction('playing', () => console.log('playing'));
  await page.setContent('<video muted playsinline width=640 height=360></video>');
  await page.addScriptTag({ path: require.resolve('hls.js/dist/hls.min.js') });
  Object.assign(
    seen,
    await page.evaluate(
      async ({ url, seconds }) => {
        const video = document.querySelector('video');
        const fatal = [];
        const player = new window.Hls({ lowLatencyMode: true });
        player.on(window.Hls.Events.ERROR, (_, error) => error.fatal && fatal.push(error.details));
        player.loadSource(url);
        player.attachMedia(video);
        await video.play();
        await window.playing();
        const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 36 });
        const context = canvas.getContext('2d', { willReadFrequently: true });
        const look = () => {
          context.drawImage(video, 0, 0, 64, 36);
          return context.getImageData(0, 0, 64, 36).data;
        };
        // A still picture that is coded again and again differs by a little.
        const differs = (a, b) => a.some((value, at) => Math.abs(value - b[at]) > 24);
        const moved = [];
        const behind_s = [];
        for (let second = 0; second < seconds; second++) {
          const looks = [];
          for (let tenth = 0; tenth < 10; tenth++) {
            await new Promise((resolve) => setTimeout(resolve, 100));
            looks.push(look());
          }
          moved.push(looks.slice(1).some((one, at) => differs(one, looks[at])));
          behind_s.push(player.playingDate ? (Date.now() - player.playingDate.getTime()) / 1000 : null);
        }
        return { moved, behind_s, fatal };
      },
      { url: given.words[0], seconds: Number(given.seconds) },
    ),
  );
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
