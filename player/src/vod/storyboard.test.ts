import { expect, it } from 'vitest';
import { asOfNow, fit, readStoryboard, TEXT_MAX_CHARS, tileAt, TILES_MAX } from './storyboard.ts';

const cue = (from: string, until: string, part = 'storyboard-0.jpg#xywh=0,0,160,90'): string => `${from} --> ${until}\n${part}\n\n`;
const parts = (part: string): number => readStoryboard(`WEBVTT\n\n${cue('00:00.000', '00:10.000', part)}`).length;
const clock = (s: number): string => [s / 3600, (s / 60) % 60, s % 60].map((each) => String(Math.floor(each)).padStart(2, '0')).join(':');

const BOARD = `WEBVTT

00:00:00.000 --> 00:00:10.000
storyboard-0.jpg#xywh=0,0,160,90

00:00:10.000 --> 00:00:20.000
storyboard-0.jpg#xywh=160,0,160,90

01:00:20.500 --> 01:00:30.000
storyboard-12.jpg#xywh=1440,810,160,90
`;

it('reads_what_the_server_writes', () => {
  expect(readStoryboard(BOARD)).toEqual([
    { from_s: 0, until_s: 10, sheet: 'storyboard-0.jpg', x: 0, y: 0, width: 160, height: 90 },
    { from_s: 10, until_s: 20, sheet: 'storyboard-0.jpg', x: 160, y: 0, width: 160, height: 90 },
    { from_s: 3_620.5, until_s: 3_630, sheet: 'storyboard-12.jpg', x: 1_440, y: 810, width: 160, height: 90 },
  ]);
});

it('reads_the_same_with_other_line_ends_names_notes_and_settings', () => {
  const board = readStoryboard(BOARD);
  expect(readStoryboard(BOARD.replaceAll('\n', '\r\n'))).toEqual(board);
  expect(readStoryboard(`\uFEFF${BOARD.replaceAll('\n', '\r')}`)).toEqual(board);
  const dressed = BOARD.replace('WEBVTT', 'WEBVTT - small pictures\nX: y\n\nNOTE all\nof them').replace('00:00:10.000 -->', 'second\n00:10.000 -->')
    .replace('00:00:20.000', '00:00:20.000 align:start');
  expect(readStoryboard(dressed)).toEqual(board);
});

it('finds_the_picture_of_a_time', () => {
  const board = readStoryboard(BOARD);
  const xAt = (at_s: number): number | undefined => tileAt(board, at_s)?.x;
  expect([0, 9.999, 10, 19.99, 3_620.5, 3_629].map(xAt)).toEqual([0, 0, 160, 160, 1_440, 1_440]);
  expect([20.5, 3_630.4].map(xAt), 'a little behind its end').toEqual([160, 1_440]);
  expect([-1, 21, 3_000, 3_631, Infinity, NaN].map(xAt)).toEqual(Array.from({ length: 6 }, () => undefined));
  expect(tileAt([], 0)).toBeNull();
});

it('every_time_of_a_long_one_has_its_picture', () => {
  const long = readStoryboard(`WEBVTT\n\n${Array.from({ length: 9_000 }, (_, i) => cue(`${clock(i * 10)}.000`, `${clock(i * 10 + 10)}.000`)).join('')}`);
  for (let at_s = 0.5; at_s < 90_000; at_s += 37) expect(tileAt(long, at_s)?.from_s).toBe(Math.floor(at_s / 10) * 10);
});

it('a_sheet_is_a_file_of_the_same_folder', () => {
  const good = ['storyboard-0.jpg', '7.png', 'a_b.c.webp', `${'a'.repeat(96)}.jpg`];
  const bad = [
    '../a.jpg', '/a.jpg', '//elsewhere/a.jpg', 'https://elsewhere/a.jpg', 'data:image/png;base64,x.jpg', 'a/b.jpg', 'a\\b.jpg', '.jpg', '..jpg',
    '%2e%2e%2fa.jpg', 'a.jpg?b', 'a.svg', 'a.html', 'a', '', 'a b.jpg', 'a").jpg', 'ä.jpg', `${'a'.repeat(200)}.jpg`, 'javascript:a.jpg',
  ];
  for (const name of good) expect(parts(`${name}#xywh=0,0,160,90`), name).toBe(1);
  for (const name of bad) expect(parts(`${name}#xywh=0,0,160,90`), name).toBe(0);
});

it('a_picture_has_a_sane_size_and_lies_on_a_sheet', () => {
  const good = ['0,0,160,90', 'pixel:0,0,90,160', '16000,16000,160,90', '0,0,640,360'];
  const bad = [
    '0,0,0,90', '0,0,160,0', '-1,0,160,90', '0,0,160', '0,0,160,90,1', 'percent:0,0,50,50', '0,0,9000,90', '16384,0,160,90', '0,99999,160,90',
    '1e3,0,160,90', '0.5,0,160,90', ' 0,0,160,90', '0,0,641,90', '0,0,8,8', 'NaN,0,160,90', '',
  ];
  for (const box of good) expect(parts(`a.jpg#xywh=${box}`), box).toBe(1);
  for (const box of bad) expect(parts(`a.jpg#xywh=${box}`), box).toBe(0);
  expect(parts('a.jpg')).toBe(0);
});

it('times_that_make_no_sense_are_left_out', () => {
  const times = (from: string, until: string): number => readStoryboard(`WEBVTT\n\n${cue(from, until)}`).length;
  expect(times('100:00:00.000', '100:00:10.000')).toBe(1);
  for (const [from, until] of [
    ['00:10.000', '00:10.000'], ['00:10.000', '00:09.000'], ['00:60.000', '01:10.000'], ['0:10.000', '00:20.000'], ['00:10', '00:20'], ['10', '20'],
    ['-00:10.000', '00:10.000'], ['00:10,000', '00:20,000'], ['99999:00:00.000', '99999:00:01.000'], ['NaN', 'Infinity'],
  ] as const) expect(times(from, until), `${from} to ${until}`).toBe(0);
});

it('one_that_begins_before_the_one_before_it_is_left_out', () => {
  const board = readStoryboard(`WEBVTT\n\n${cue('00:20.000', '00:30.000')}${cue('00:10.000', '00:20.000')}${cue('00:20.000', '00:40.000')}${cue('00:25.000', '00:40.000')}`);
  expect(board.map(({ from_s }) => from_s)).toEqual([20, 25]);
});

it('what_is_no_storyboard_is_an_empty_one', () => {
  const page = `<!doctype html>\n${cue('00:00.000', '00:10.000')}`;
  for (const text of ['', 'WEBVTT', 'WEBVTT\n\n', 'WEBVTTX\n\n', ' WEBVTT', page, BOARD.slice(8), '\0'.repeat(99), '00:00.000 --> 00:10.000', 'WEBVTT\n-->\n']) {
    expect(readStoryboard(text), text.slice(0, 20)).toEqual([]);
  }
});

it('there_is_an_end_to_what_it_takes', () => {
  const many = Array.from({ length: TILES_MAX + 5 }, (_, i) => cue(`${clock(i)}.000`, `${clock(i + 1)}.000`)).join('');
  expect(readStoryboard(`WEBVTT\n\n${many}`).length).toBe(TILES_MAX);
  expect(readStoryboard(BOARD + '\n'.repeat(TEXT_MAX_CHARS))).toEqual([]);
});

it('long_lines_are_read_in_no_time', () => {
  const room = TEXT_MAX_CHARS - 200;
  const began = performance.now();
  for (const filler of [' ', '-', '>', '0', 'a.', '\n', ' -->', '00:00.000 --> ', '00:00.000 --> 00:10.000\n', 'a.jpg#xywh=']) {
    const text = filler.repeat(Math.floor(room / filler.length));
    expect(readStoryboard(`WEBVTT\n\n00:00.000 --> 00:10.000\n${text}\n${cue('00:10.000', '00:20.000')}`).length, JSON.stringify(filler)).toBe(1);
  }
  expect(performance.now() - began).toBeLessThan(5_000);
});

it('a_sheet_that_fills_up_has_another_address_each_time', () => {
  const board = readStoryboard(BOARD);
  expect(asOfNow(board).map(({ sheet }) => sheet)).toEqual([
    'storyboard-0.jpg?until=20000', 'storyboard-0.jpg?until=20000', 'storyboard-12.jpg?until=3630000',
  ]);
  expect(asOfNow(board.slice(0, 1))[0]?.sheet).toBe('storyboard-0.jpg?until=10000');
});

it('pictures_keep_their_shape_and_are_never_larger_than_they_are', () => {
  expect(fit({ width: 160, height: 90 }, { width: 1_000, height: 1_000 })).toEqual({ width: 160, height: 90 });
  expect(fit({ width: 160, height: 90 }, { width: 120, height: 1_000 })).toEqual({ width: 120, height: 68 });
  expect(fit({ width: 90, height: 160 }, { width: 120, height: 80 })).toEqual({ width: 45, height: 80 });
  expect(fit({ width: 160, height: 90 }, { width: 0, height: 0 })).toEqual({ width: 1, height: 1 });
});
