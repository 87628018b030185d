/** The player as viewers have it, without sound at first. It is loaded only when there is something to see. */
import { useEffect, useMemo } from 'preact/hooks';
import { Screen } from '../screen.tsx';
import { Viewer } from '../viewer.ts';
import type { PreviewProps } from './lazy-preview.tsx';

/** Another ticket takes the place of the one before while it plays. */
export default function Preview({ name, ticket }: PreviewProps) {
  const viewer = useMemo(() => {
    const made = new Viewer(name, ticket);
    made.silenced.value = true;
    return made;
  }, [name]);
  useEffect(() => viewer.renew(ticket), [viewer, ticket]);
  return <Screen key={name} viewer={viewer} preview />;
}
