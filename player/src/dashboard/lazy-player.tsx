/** A place for the player of a recording, which comes into it when it is loaded. */
import { useSignal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useEffect } from 'preact/hooks';
import type { Recording } from '../recordings/shape.ts';
import type { VodViewer } from '../vod/viewer.ts';

export interface PlayerProps {
  readonly recording: Recording;
  /** Gets the hands of the player, for what cuts clips where it stands. */
  readonly onViewer: (viewer: VodViewer | null) => void;
}

export function LazyPlayer(props: PlayerProps) {
  const part = useSignal<{ readonly Player: ComponentType<PlayerProps> } | null>(null);
  useEffect(() => {
    // Without the player the page is still worth having: title, tags and trash stay.
    import('./player.tsx').then(({ default: Player }) => (part.value = { Player }), () => undefined);
  }, []);
  return part.value ? <part.value.Player {...props} /> : <span class="screen-place" />;
}
