/** The player as viewers have it, without sound at first. It is loaded only when there is something to see. */
import { useMemo } from 'preact/hooks';
import { Screen } from '../screen.tsx';
import { Viewer } from '../viewer.ts';

export default function Preview({ name }: { name: string }) {
  const viewer = useMemo(() => {
    const made = new Viewer(name);
    made.silenced.value = true;
    return made;
  }, [name]);
  return <Screen key={name} viewer={viewer} preview />;
}
