/** A place for the preview, which comes into it when its player is loaded. */
import { useSignal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useEffect } from 'preact/hooks';

/** `name`: a stream's, or what the preview of its rehearsal is called. */
export function LazyPreview({ name }: { name: string }) {
  const part = useSignal<{ readonly Preview: ComponentType<{ name: string }> } | null>(null);
  useEffect(() => {
    // Without the player the page is still worth having: figures and words stay.
    import('./preview.tsx').then(({ default: Preview }) => (part.value = { Preview }), () => undefined);
  }, []);
  return part.value ? <part.value.Preview name={name} /> : <span class="screen-place" />;
}
