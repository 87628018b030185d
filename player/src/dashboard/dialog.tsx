/** A question that has to be answered first. The browser's own modal dialog keeps the focus inside and gives it back. */
import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef } from 'preact/hooks';
import { focusHeading } from './place.ts';

export interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  /** Asked on Escape and on a press beside the dialog; false keeps it open. */
  readonly mayClose?: () => boolean;
  readonly children: ComponentChildren;
}

/** Opens when it is drawn and closes when it is taken away. */
export function Dialog({ title, onClose, mayClose, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const isLeft = useRef(false);
  useLayoutEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => {
      isLeft.current = true;
      shown?.close();
      // What opened it may be gone by now (Stop became Allow): then the page's heading takes the focus.
      focusHeading(() => document.activeElement !== document.body);
    };
  }, []);
  const leave = (event: Event): void => {
    event.preventDefault();
    if (mayClose?.() ?? true) onClose();
  };
  return (
    <dialog
      ref={dialog} class="dialog" aria-labelledby={id} onCancel={leave}
      onClose={() => {
        // A browser lets nobody be held: a second Escape closes the dialog whatever the page says to it.
        if (!isLeft.current) onClose();
      }}
      onPointerDown={(event) => {
        if (event.target === event.currentTarget) leave(event);
      }}
    >
      <div class="dialog-body">
        <h2 id={id}>{title}</h2>
        {children}
      </div>
    </dialog>
  );
}
