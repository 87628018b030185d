/** What every full page has around its content. */
import type { ComponentChildren } from 'preact';
import { Weir } from './marks.tsx';

/** `at`: the page is one that the header leads to. */
export function Frame({ children, at }: { children: ComponentChildren; at?: 'home' | 'recordings' }) {
  return (
    <>
      <header class="top">
        <a class="brand" href="/" aria-current={at === 'home' ? 'page' : undefined}>
          <Weir /> Weir
        </a>
        <nav class="places" aria-label="Weir">
          <a href="/recordings" aria-current={at === 'recordings' ? 'page' : undefined}>
            Recordings
          </a>
          {at === 'home' && <a href="/dashboard">Dashboard</a>}
        </nav>
      </header>
      <main>{children}</main>
    </>
  );
}
