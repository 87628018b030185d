/** The query of the address bar as a signal. Whoever changes the address calls `arrive`. */
import { signal } from '@preact/signals';

export const search = signal(location.search);

export function arrive(): void {
  search.value = location.search;
}

/** Another query for the same page, without a step in the browser's history. */
export function turn(to: string): void {
  history.replaceState(null, '', location.pathname + to);
  arrive();
}
