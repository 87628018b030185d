/** A line of text with a button that puts it on the clipboard. */
import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';

/** So long the button says that it worked. */
const SAID_MS = 1_600;

export function Copy({ label, text }: { label: string; text: string }) {
  const copied = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  const copy = async (): Promise<void> => {
    field.current?.select();
    try {
      // Only offered by the browser over HTTPS and on this machine; elsewhere the selected text is one key away.
      await navigator.clipboard.writeText(text);
      copied.value = true;
      setTimeout(() => (copied.value = false), SAID_MS);
    } catch {
      field.current?.focus();
    }
  };
  return (
    <div class="copy">
      <label>
        <span>{label}</span>
        <input ref={field} readOnly value={text} onFocus={(event) => event.currentTarget.select()} />
      </label>
      <button type="button" onClick={() => void copy()} aria-label={`Copy ${label}`}>
        {copied.value ? 'Copied' : 'Copy'}
      </button>
    </div>
  );
}
