import { expect, it } from 'vitest';
import { chapterAt, chapterLines, decodeChapter } from './chapter.ts';

const CHAPTERS = [{ at_s: 0, title: 'Doors' }, { at_s: 65.5, title: 'Song' }, { at_s: 3_600, title: 'Encore' }];

it('reads_what_the_api_gives', () => {
  expect(decodeChapter({ at_ms: 65_500, title: 'Song' })).toEqual(CHAPTERS[1]);
  for (const junk of [null, {}, { at_ms: -1, title: 'x' }, { at_ms: 5 }, { at_ms: '5', title: 'x' }]) expect(decodeChapter(junk)).toBeNull();
});

it('the_chapter_that_is_on_is_the_last_that_began', () => {
  const at = (time_s: number) => chapterAt(CHAPTERS, time_s)?.title;
  expect([at(0), at(65.4), at(65.47), at(9_999)]).toEqual(['Doors', 'Doors', 'Song', 'Encore']);
  expect(chapterAt(CHAPTERS.slice(1), 3)).toBeNull();
});

it('they_are_written_as_the_api_takes_them', () => {
  expect(chapterLines(CHAPTERS)).toBe('0:00 Doors\n1:05.500 Song\n1:00:00 Encore');
});
