/** A menu over the picture in which one of a few things is chosen; its button shows which. */
import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { Tick } from './marks.tsx';

export interface Choice<T> {
  readonly value: T;
  readonly label: string;
  /** Stands behind the label, quieter. */
  readonly note?: string | undefined;
}

export interface MenuProps<T> {
  /** What is chosen here. */
  readonly name: string;
  /** Class of the whole, and the beginning of its parts' classes. */
  readonly class: string;
  readonly mark: ComponentChildren;
  /** What the button shows. */
  readonly now: string;
  /** What the button says to a screen reader. */
  readonly says: string;
  readonly choices: readonly Choice<T>[];
  readonly chosen: T;
  readonly onChoose: (value: T) => void;
}

export function Menu<T>({ name, class: looks, mark, now, says, choices, chosen, onChoose }: MenuProps<T>) {
  const open = useSignal(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);

  useEffect(() => {
    if (!open.value) return;
    const items = root.current?.querySelectorAll<HTMLElement>('[role=menuitemradio]');
    ([...(items ?? [])].find((item) => item.ariaChecked === 'true') ?? items?.[0])?.focus();
    const outside = (event: Event): void => {
      if (!root.current?.contains(event.target as Node)) open.value = false;
    };
    addEventListener('pointerdown', outside);
    return () => removeEventListener('pointerdown', outside);
  }, [open.value]);

  const close = (): void => {
    open.value = false;
    button.current?.focus();
  };
  const choose = (value: T): void => {
    onChoose(value);
    close();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const items = [...(root.current?.querySelectorAll<HTMLElement>('[role=menuitemradio]') ?? [])];
    const at = items.findIndex((item) => item === document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (event.key === 'Escape') close();
    else if (event.key === 'Tab') open.value = false;
    else if (to !== undefined) items[(to + items.length) % items.length]?.focus();
    if (to !== undefined || event.key === 'Escape') event.preventDefault();
    // While the menu is open its keys are its own.
    if (event.key !== 'Tab') event.stopPropagation();
  };

  return (
    <div class={`choice ${looks}`} ref={root}>
      <button
        ref={button} type="button" class={`control ${looks}-button`} aria-haspopup="menu" aria-expanded={open.value} aria-label={says}
        onClick={() => (open.value = !open.value)}
      >
        {mark}
        <span class={`${looks}-now`}>{now}</span>
      </button>
      {open.value && (
        <div class="menu" role="menu" aria-label={name} onKeyDown={onKeyDown}>
          {choices.map((choice) => (
            <Item key={String(choice.value)} choice={choice} checked={choice.value === chosen} onChoose={() => choose(choice.value)} />
          ))}
        </div>
      )}
    </div>
  );
}

function Item<T>({ choice, checked, onChoose }: { choice: Choice<T>; checked: boolean; onChoose: () => void }) {
  return (
    <button type="button" class="item" role="menuitemradio" aria-checked={checked} tabIndex={-1} onClick={onChoose}>
      <span class="item-tick">{checked && <Tick />}</span>
      <span>{choice.label}</span>
      <span class="item-note">{choice.note}</span>
    </button>
  );
}
