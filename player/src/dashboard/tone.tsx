/** A word with its colour and its mark: never the colour alone. */
import type { JSX } from 'preact';
import type { Said, Tone } from './said.ts';

const SHAPES: Readonly<Record<Tone, JSX.Element>> = {
  good: <path d="m4.5 8.4 2.4 2.4 4.6-5" />,
  warning: <path d="M8 4.2v4.6m0 2.6v.2" />,
  bad: <path d="m5.4 5.4 5.2 5.2m0-5.2-5.2 5.2" />,
  idle: <path d="M5 8h6" />,
};
const OUTLINES: Readonly<Record<Tone, string>> = {
  good: 'M8 1.2a6.8 6.8 0 1 1 0 13.6A6.8 6.8 0 0 1 8 1.2Z',
  warning: 'M8 1.4 15.2 14H.8Z',
  bad: 'M5.2 1.3h5.6l3.9 3.9v5.6l-3.9 3.9H5.2l-3.9-3.9V5.2Z',
  idle: 'M8 1.2a6.8 6.8 0 1 1 0 13.6A6.8 6.8 0 0 1 8 1.2Z',
};

export function ToneMark({ tone }: { tone: Tone }) {
  return (
    <svg class="tone-mark" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={OUTLINES[tone]} class="tone-ground" />
      <g fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">
        {SHAPES[tone]}
      </g>
    </svg>
  );
}

export function Chip({ said, label }: { said: Said; label?: string }) {
  return (
    <span class={`chip ${said.tone}`}>
      <ToneMark tone={said.tone} />
      {label && <span class="unseen">{label}: </span>}
      {said.word}
    </span>
  );
}
