/** The picture of a recording, which there may not be. */
import { useSignal } from '@preact/signals';
import type { Recording } from './shape.ts';

export function Picture({ recording }: { recording: Recording }) {
  const missing = useSignal(false);
  if (missing.value) return <span class="no-picture" />;
  return <img src={recording.thumb} alt="" loading="lazy" decoding="async" onError={() => (missing.value = true)} />;
}
