// Plays an MP4 file in a bare video element and seeks in it, and reports what a viewer sees as one JSON object on the last line.
// usage: node mp4.mjs URL --to SECONDS
//   length_s: as the browser has it
//   at_s: where it is a second after it was sent to SECONDS
//   moved: the picture moved in that second
//   sounded: bytes of sound were decoded
import { open, options } from './chromium.mjs';

const given = options({ to: '5', width: '640', height: '360' });
const { browser, page } = await open(given);
let seen = {};
try {
  await page.setContent('<video muted playsinline preload=auto width=640 height=360></video>');
  seen = await page.evaluate(
    async ({ url, to_s }) => {
      const video = document.querySelector('video');
      const comes = (event) => new Promise((resolve, reject) => {
        video.addEventListener(event, resolve, { once: true });
        video.addEventListener('error', () => reject(new Error(video.error?.message)), { once: true });
        setTimeout(() => reject(new Error(`no ${event} came`)), 15_000);
      });
      const ready = comes('loadedmetadata');
      video.src = url;
      await ready;
      await video.play();
      const there = comes('seeked');
      video.currentTime = to_s;
      await there;
      const frames = () => video.getVideoPlaybackQuality().totalVideoFrames;
      const before = frames();
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      return {
        length_s: video.duration, at_s: video.currentTime, moved: frames() > before + 5, sounded: video.webkitAudioDecodedByteCount > 0,
      };
    },
    { url: given.words[0], to_s: Number(given.to) },
  );
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
