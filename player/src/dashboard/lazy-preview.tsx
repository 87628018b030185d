/** A place for the preview, which comes into it when its player is loaded. */
import { useSignal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useEffect } from 'preact/hooks';

export interface PreviewProps {
  /** A stream's, or what the preview of its rehearsal is called. */
  readonly name: string;
  /** What opens a private stream. */
  readonly ticket: string | null;
}

export function LazyPreview(props: PreviewProps) {
  const part = useSignal<{ readonly Preview: ComponentType<PreviewProps> } | null>(null);
  useEffect(() => {
    // Without the player the page is still worth having: figures and words stay.
    import('./preview.tsx').then(({ default: Preview }) => (part.value = { Preview }), () => undefined);
  }, []);
  return part.value ? <part.value.Preview {...props} /> : <span class="screen-place" />;
}
