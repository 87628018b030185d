/** Small drawings. All take the colour of the text around them and say nothing to screen readers. */
import type { JSX } from 'preact';

function mark(path: JSX.Element, box = '0 0 24 24') {
  return (
    <svg class="mark" viewBox={box} aria-hidden="true" focusable="false">
      {path}
    </svg>
  );
}

/** A weir from the side: water over three steps. */
export const Weir = () =>
  mark(<path d="M2 6h6.5a2 2 0 0 1 2 2v2a2 2 0 0 0 2 2H15a2 2 0 0 1 2 2v2a2 2 0 0 0 2 2h3" fill="none" stroke="currentColor" stroke-width="2.6" stroke-linecap="round" />);

export const SoundOff = () =>
  mark(
    <path
      d="M4 9.5v5h3.2L12 19V5L7.2 9.5H4Zm12 .1 4.8 4.8m0-4.8L16 14.4"
      fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"
    />,
  );

export const Play = () => mark(<path d="M8 5.4v13.2a.8.8 0 0 0 1.2.7l10.6-6.6a.8.8 0 0 0 0-1.4L9.2 4.7a.8.8 0 0 0-1.2.7Z" fill="currentColor" />);

/** An arrow that turns back. */
export const Back = () =>
  mark(
    <path
      d="M5 12a7.5 7.5 0 1 0 2.4-5.5M4.6 3.8v4.4H9M12 8v4.4l3 1.8"
      fill="none" stroke="currentColor" stroke-width="1.9" stroke-linecap="round" stroke-linejoin="round"
    />,
  );

export const Tick = () =>
  mark(<path d="m5 12.5 4.5 4.5L19 7.5" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round" />);

export const Gear = () =>
  mark(
    <path
      d="M4 7h9m4 0h3M4 17h3m4 0h9M15 4.8v4.4M9 14.8v4.4"
      fill="none" stroke="currentColor" stroke-width="1.9" stroke-linecap="round"
    />,
  );

/** A dial, for how fast. */
export const Pace = () =>
  mark(
    <path
      d="M5.6 18a8.5 8.5 0 1 1 12.8 0M12 13l3.6-4.2"
      fill="none" stroke="currentColor" stroke-width="1.9" stroke-linecap="round" stroke-linejoin="round"
    />,
  );
