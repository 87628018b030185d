/** What every page of the dashboard has around its content, and the notices they share. */
import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { Weir } from '../marks.tsx';
import { reason, session, signOut } from './client.ts';
import { route } from './place.ts';
import { clock } from './time.ts';

export function Shell({ children }: { children: ComponentChildren }) {
  const fault = useSignal<string | null>(null);
  const leave = (): void => {
    signOut().catch((error: unknown) => (fault.value = reason(error)));
  };
  const { at } = route.value;
  const signedIn = session.value?.signedIn ?? false;
  const page = (path: string, label: string, here: boolean) => (
    <a href={path} aria-current={here ? 'page' : undefined}>
      {label}
    </a>
  );
  return (
    <>
      <header class="top dash-top">
        <a class="brand" href="/" aria-label="Weir, what is live">
          <Weir /> <span>Weir</span>
        </a>
        {signedIn && (
          <>
            <nav aria-label="Dashboard">
              {page('/dashboard', 'Streams', at === 'streams' || at === 'stream')}
              {page('/dashboard/recordings', 'Recordings', at === 'recordings' || at === 'recording')}
              {page('/dashboard/server', 'Server', at === 'server')}
              {page('/dashboard/audit', 'Audit', at === 'audit')}
            </nav>
            <button type="button" class="plain" onClick={leave}>
              Sign out
            </button>
          </>
        )}
      </header>
      <main class="dash">
        {fault.value && <Notice>{fault.value}</Notice>}
        {children}
      </main>
    </>
  );
}

export function Notice({ children }: { children: ComponentChildren }) {
  return (
    <p class="notice" role="status">
      {children}
    </p>
  );
}

/** Says why nothing new comes, and how old what is shown is. */
export function Trouble({ trouble, atMs }: { trouble: string | null; atMs: number | null }) {
  if (trouble === null) return null;
  return (
    <Notice>
      <b>{trouble}</b> {atMs === null ? 'Trying again by itself.' : `Trying again by itself; what is shown here is from ${clock(atMs)}.`}
    </Notice>
  );
}

/** The page's name in the tab, with what matters first. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Weir`;
  }, [title]);
}

/** Grey lines where something is about to be. */
export function Skeleton({ lines, label }: { lines: number; label: string }) {
  return (
    <div class="skeleton" role="status">
      <span class="unseen">{label}</span>
      {Array.from({ length: lines }, (_, i) => (
        <span key={i} class="bone" />
      ))}
    </div>
  );
}
