/** The live player, and in its place the past of the live while the viewer looks at that. */
import { batch, signal, useSignal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useEffect } from 'preact/hooks';
import { nameInPath, ticketInPath } from './name.ts';
import type { RewoundProps } from './rewound.tsx';
import { Screen } from './screen.tsx';
import { Viewer } from './viewer.ts';

/** Who watches a stream, and when of it. One per page. */
export class Watching {
  readonly name: string;
  /** What opens a private stream, as the page's address has it. */
  readonly ticket: string | null;
  readonly viewer;
  /** Path of the playlist of the past while that is looked at. */
  readonly past = signal<string | null>(null);

  /** The sound was off when the picture was changed for the other. */
  muted = false;

  /** `path`: of the page. */
  constructor(path: string) {
    this.name = nameInPath(path);
    this.ticket = ticketInPath(path);
    this.viewer = signal(new Viewer(this.name, this.ticket));
  }

  /** Who watches live now; null while the past is looked at. */
  get live(): Viewer | null {
    return this.past.value === null ? this.viewer.value : null;
  }

  readonly rewind = (): void => {
    this.#hear();
    this.past.value = this.viewer.value.stream.value?.rewind ?? null;
  };

  readonly goLive = (): void =>
    batch(() => {
      this.#hear();
      // The one before ended when its picture went.
      const next = new Viewer(this.name, this.ticket);
      next.stream.value = this.viewer.value.stream.value;
      this.viewer.value = next;
      this.past.value = null;
    });

  #hear(): void {
    this.muted = document.querySelector('video')?.muted ?? this.muted;
  }
}

export function Player({ watching }: { watching: Watching }) {
  const past = watching.past.value;
  const viewer = watching.viewer.value;
  return past === null
    ? <Screen key={viewer} viewer={viewer} muted={watching.muted} onRewind={watching.rewind} />
    : <LazyRewound name={watching.name} ticket={watching.ticket} poster={viewer.poster} hls={past} muted={watching.muted} onLive={watching.goLive} />;
}

function LazyRewound(props: RewoundProps) {
  const part = useSignal<{ readonly Rewound: ComponentType<RewoundProps> } | null>(null);
  useEffect(() => {
    // Without it there is no past to look at.
    import('./rewound.tsx').then(({ default: Rewound }) => (part.value = { Rewound }), props.onLive);
  }, []);
  return part.value ? <part.value.Rewound {...props} /> : <div class="screen" />;
}
