/** The parts of a recording that have names: a list whose entries lead there. The bar shows where they begin (`seek.tsx`). */
import { chapterAt, type Chapter } from '../recordings/chapter.ts';
import { stamp } from '../recordings/time.ts';
import type { VodViewer } from './viewer.ts';

export function Chapters({ chapters, viewer }: { chapters: readonly Chapter[]; viewer: VodViewer }) {
  if (chapters.length === 0) return null;
  const now = chapterAt(chapters, viewer.time.value);
  return (
    <nav class="chapters" aria-labelledby="chapters-title">
      <h2 id="chapters-title">Chapters</h2>
      <ol>
        {chapters.map((chapter) => (
          <li key={chapter.at_s}>
            <button type="button" class="chapter" aria-current={chapter === now ? 'true' : undefined} onClick={() => viewer.goTo(chapter.at_s)}>
              <span class="chapter-at">{stamp(chapter.at_s)}</span>
              <span class="chapter-title">{chapter.title}</span>
            </button>
          </li>
        ))}
      </ol>
    </nav>
  );
}
