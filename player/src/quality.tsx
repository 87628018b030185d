/** The quality menu: automatic or one rung of the ladder. The button shows the rung on screen. */
import type { ReadonlySignal } from '@preact/signals';
import type { Rung } from './engine.ts';
import { Gear } from './marks.tsx';
import { Menu } from './menu.tsx';

/** The player whose rungs they are. */
export interface Laddered {
  readonly rungs: ReadonlySignal<readonly Rung[]>;
  /** The rung the viewer holds; null is automatic. */
  readonly held: ReadonlySignal<number | null>;
  readonly showing: ReadonlySignal<number | null>;
  choose(id: number | null): void;
}

export function Quality({ viewer }: { viewer: Laddered }) {
  const rungs = viewer.rungs.value;
  const showing = rungs.find((rung) => rung.id === viewer.showing.value);
  const held = viewer.held.value;
  if (rungs.length < 2) return null;
  return (
    <Menu
      name="Quality" class="quality" mark={<Gear />} now={showing?.label ?? 'Auto'}
      says={`Quality: ${showing?.label ?? 'Auto'}, ${held === null ? 'automatic' : 'held'}`}
      choices={[
        { value: null, label: 'Auto', note: held === null ? showing?.label : undefined },
        ...rungs.map(({ id, label, bitrate_bps }) => ({ value: id, label, note: rate(bitrate_bps) })),
      ]}
      chosen={held} onChoose={(id) => viewer.choose(id)}
    />
  );
}

function rate(bitrate_bps: number): string | undefined {
  return bitrate_bps > 0 ? `${(bitrate_bps / 1e6).toFixed(1)} Mb/s` : undefined;
}
