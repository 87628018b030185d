/** The words to search for. What is typed counts a moment later, or at once with Enter. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { TEXT_MAX } from './query.ts';

const PAUSE_MS = 300;

export function Finder({ text, onFind }: { text: string; onFind: (text: string) => void }) {
  const typed = useSignal(text);
  const told = useRef(text);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const tell = (): void => {
    clearTimeout(timer.current);
    told.current = typed.value;
    onFind(typed.value);
  };
  useEffect(() => {
    // Changed by somebody else: the back button, or what clears the search.
    if (text !== told.current.trim()) typed.value = told.current = text;
  }, [text]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <form
      class="finder" role="search" onSubmit={(event) => {
        event.preventDefault();
        tell();
      }}
    >
      <input
        type="search" value={typed.value} maxLength={TEXT_MAX} aria-label="Search recordings" placeholder="Search recordings" autocomplete="off"
        enterkeyhint="search" spellcheck={false} onInput={(event) => {
          typed.value = event.currentTarget.value;
          clearTimeout(timer.current);
          timer.current = setTimeout(tell, PAUSE_MS);
        }}
      />
    </form>
  );
}
