/** What viewers can choose from, and in words why something of it is missing. */
import type { Live } from './shapes.ts';
import { counted } from './figures.ts';

export function Renditions({ live }: { live: Live }) {
  const { renditions, withheld } = live;
  const resting = renditions.filter((rendition) => rendition.resting).length;
  return (
    <section aria-labelledby="renditions-title">
      <h2 id="renditions-title" class="small-head">
        Renditions
      </h2>
      {renditions.length === 0 && withheld.length === 0 && <p class="hint">No picture is made.</p>}
      <ul class="renditions">
        {renditions.map(({ name, resting }) => (
          <li key={name}>
            <b>{name}</b>
            <span class="hint">{resting ? 'Resting' : 'On'}</span>
          </li>
        ))}
        {withheld.map((name) => (
          <li key={name}>
            <b>{name}</b>
            <span class="hint">Withheld</span>
          </li>
        ))}
      </ul>
      {resting > 0 && (
        <p class="hint">
          {counted(resting, 'rendition rests', 'renditions rest')}: this machine has no processor time for it just now. Its viewers get
          the next one, and it comes back by itself.
        </p>
      )}
      {withheld.length > 0 && (
        <p class="hint">
          {counted(withheld.length, 'rendition is withheld', 'renditions are withheld')}: there was no room for it when the session began. A
          smaller ladder, fewer streams or more processors make room; it counts from the next session.
        </p>
      )}
    </section>
  );
}
