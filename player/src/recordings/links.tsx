/** The addresses of a recording to take elsewhere. */
import { Copy } from '../copy.tsx';
import { embedPath, pagePath, type Recording } from './shape.ts';

export function Links({ recording: { id, hls } }: { recording: Recording }) {
  const here = location.origin;
  return (
    <>
      <Copy label="Its page" text={here + pagePath(id)} />
      <Copy label="HLS, for any player" text={here + hls} />
      <Copy
        label="Embed"
        text={`<iframe src="${here}${embedPath(id)}" width="640" height="360" allow="autoplay; fullscreen; picture-in-picture" style="border:0"></iframe>`}
      />
    </>
  );
}
