/** What every full page has around its content. */
import type { ComponentChildren } from 'preact';
import { Weir } from './marks.tsx';

export function Frame({ children, home }: { children: ComponentChildren; home?: boolean }) {
  return (
    <>
      <header class="top">
        <a class="brand" href="/" aria-current={home ? 'page' : undefined}>
          <Weir /> Weir
        </a>
        {home && (
          <a class="operator" href="/dashboard">
            Dashboard
          </a>
        )}
      </header>
      <main>{children}</main>
    </>
  );
}
