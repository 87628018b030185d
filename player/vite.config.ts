import { defineConfig } from 'vite';
import { leanHls } from './build/lean-hls.ts';
import { measure } from './build/measure.ts';
import { strictChrome } from './build/strict-chrome.ts';

export default defineConfig({
  plugins: [leanHls(), strictChrome(), measure()],
  build: {
    // Safari 16.4, Chrome 94, Firefox 101: the first with every web API the page uses (constructed style sheets).
    target: ['es2022', 'safari16.4'],
    // Inlined assets would be data: URLs, which the page's content policy allows for pictures only.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      input: ['index.html', 'watch.html', 'embed.html', '404.html', 'dashboard.html', 'dock.html', 'library.html', 'recording.html', 'embed-recording.html'],
      // Left alone, the bundler makes a file of its own for each set of pages that shares something: ten tiny ones for a viewer.
      output: {
        codeSplitting: {
          groups: [
            { name: 'base', test: /node_modules\/@?preact\/|\/src\/(address|api|clock|decode|marks|name)\.tsx?$/ },
            { name: 'later-tus', test: /node_modules\/(tus-js-client|js-base64|url-parse|querystringify|requires-port)\// },
            { name: 'frame', test: /\/src\/(copy|frame|thumb)\.tsx$/ },
            { name: 'recordings', test: /\/src\/recordings\/(api|chapter|finder|links|listing|more|picture|query|shape|time)\.tsx?$/ },
            // Each with what it imports: hls.js and media-chrome are in the first of them.
            { name: 'player', test: /\/src\/(chrome\/elements|commands|hls|keys|native|over|quality|retry|still)\.tsx?$/ },
            { name: 'vod', test: /\/src\/(vod\/|recordings\/(seen|stage|vod))[^/]*\.tsx?$/ },
          ],
        },
      },
    },
  },
  // `npm run dev` shows the pages of a server that runs beside it.
  server: {
    host: '127.0.0.1',
    proxy: { '/api': 'http://127.0.0.1:8080', '/live': 'http://127.0.0.1:8080', '/vod': 'http://127.0.0.1:8080' },
  },
});
