/** `/embed/NAME`: the player alone, as large as its frame, for other people's pages. */
import './style.css';
import { render } from 'preact';
import { tellOf } from './beacon.ts';
import { nameInPath } from './name.ts';
import { Screen } from './screen.tsx';
import { Viewer } from './viewer.ts';

const root = document.getElementById('app');
if (root) {
  const viewer = new Viewer(nameInPath(location.pathname));
  render(<Screen viewer={viewer} />, root);
  tellOf(viewer);
}
