/** Where the operator is: the address bar as a signal, and moving without loading the page anew. */
import { batch, computed, signal } from '@preact/signals';
import { arrive as arriveAtQuery, search } from '../address.ts';
import { routeOf } from './route.ts';

const path = signal(location.pathname);

export const route = computed(() => routeOf(path.value));

export function go(to: string): void {
  history.pushState(null, '', to);
  arrive();
  scrollTo(0, 0);
  focusHeading();
}

/** A screen reader reads on where the page begins. What is new there is drawn with the next frame. */
export function focusHeading(unless: () => boolean = () => false): void {
  requestAnimationFrame(() => {
    if (!unless()) document.querySelector<HTMLElement>('main h1')?.focus({ preventScroll: true });
  });
}

/** Call once: takes over the links inside the dashboard, and the browser's own back and forward. */
export function listen(): void {
  addEventListener('popstate', arrive);
  document.addEventListener('click', (event) => {
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.origin !== location.origin || link.target || routeOf(link.pathname).at === 'nowhere') return;
    event.preventDefault();
    const to = link.pathname + link.search;
    if (to !== location.pathname + search.value) go(to);
  });
}

function arrive(): void {
  batch(() => {
    path.value = location.pathname;
    arriveAtQuery();
  });
}
