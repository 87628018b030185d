/** `/embed/NAME`, `/p/TICKET/embed/NAME`: the player alone, as large as its frame, for other people's pages. */
import './style.css';
import { render } from 'preact';
import { tellOf } from './beacon.ts';
import { Player, Watching } from './watching.tsx';

const root = document.getElementById('app');
if (root) {
  const watching = new Watching(location.pathname);
  render(<Player watching={watching} />, root);
  tellOf(watching, () => watching.live);
}
