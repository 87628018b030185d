/** The quality menu: automatic or one rung of the ladder. The button shows the rung on screen. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { Rung } from './engine.ts';
import { Gear, Tick } from './marks.tsx';
import type { Viewer } from './viewer.ts';

export function Quality({ viewer }: { viewer: Viewer }) {
  const open = useSignal(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const rungs = viewer.rungs.value;
  const showing = rungs.find((rung) => rung.id === viewer.showing.value);
  const held = viewer.held.value;

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

  if (rungs.length < 2) return null;

  const close = (): void => {
    open.value = false;
    button.current?.focus();
  };
  const choose = (id: number | null): void => {
    viewer.choose(id);
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
    <div class="quality" ref={root}>
      <button
        ref={button} type="button" class="control quality-button" aria-haspopup="menu" aria-expanded={open.value}
        aria-label={`Quality: ${showing?.label ?? 'Auto'}, ${held === null ? 'automatic' : 'held'}`}
        onClick={() => (open.value = !open.value)}
      >
        <Gear />
        <span class="quality-now">{showing?.label ?? 'Auto'}</span>
      </button>
      {open.value && (
        <div class="menu" role="menu" aria-label="Quality" onKeyDown={onKeyDown}>
          <Item checked={held === null} onChoose={() => choose(null)} label="Auto" note={held === null ? showing?.label : undefined} />
          {rungs.map((rung: Rung) => (
            <Item key={rung.id} checked={held === rung.id} onChoose={() => choose(rung.id)} label={rung.label} note={rate(rung.bitrate_bps)} />
          ))}
        </div>
      )}
    </div>
  );
}

function Item(props: { checked: boolean; label: string; note: string | undefined; onChoose: () => void }) {
  return (
    <button type="button" class="item" role="menuitemradio" aria-checked={props.checked} tabIndex={-1} onClick={props.onChoose}>
      <span class="item-tick">{props.checked && <Tick />}</span>
      <span>{props.label}</span>
      <span class="item-note">{props.note}</span>
    </button>
  );
}

function rate(bitrate_bps: number): string | undefined {
  return bitrate_bps > 0 ? `${(bitrate_bps / 1e6).toFixed(1)} Mb/s` : undefined;
}
