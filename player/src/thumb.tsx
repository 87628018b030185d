/** The newest thumbnail; the one before stays until the new one has come, so that nothing flickers. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

/** Thumbnails are made every few seconds; asking for one more often than this shows nothing new. */
const THUMB_MS = 8_000;

export function Thumb({ path, now }: { path: string | null; now: number }) {
  const shown = useSignal<string | null>(null);
  const wanted = path && `${path}${path.includes('?') ? '&' : '?'}t=${Math.floor(now / THUMB_MS)}`;
  useEffect(() => {
    if (!wanted) return;
    const image = new Image();
    image.onload = () => (shown.value = wanted);
    image.src = wanted;
    return () => (image.onload = null);
  }, [wanted]);
  return shown.value ? <img src={shown.value} alt="" /> : <span class="no-picture" />;
}
