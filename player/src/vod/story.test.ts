import { expect, it } from 'vitest';
import { AGAIN_MS, SHEETS_MAX, Story, type Sheet, type StorySource } from './story.ts';

const WEBVTT = `WEBVTT\n\n${Array.from({ length: 30 }, (_, i) => `00:${10 + i}:00.000 --> 00:${11 + i}:00.000\ns-${i}.jpg#xywh=160,0,160,90\n\n`).join('')}`;
/** In the middle of the picture on sheet `i`. */
const on = (i: number): number => (10.5 + i) * 60;
const settle = () => new Promise((done) => setTimeout(done));

/** A server that answers as told, and notes what it was asked for. */
function server({ text = () => WEBVTT, sheet = (name) => ({ src: name, naturalWidth: 320, naturalHeight: 90 }) }: {
  text?: () => string | null; sheet?: (name: string) => Sheet;
} = {}) {
  const asked: string[] = [];
  const clock = { now: 5 };
  const source: StorySource = {
    text: async () => {
      asked.push('text');
      return text();
    },
    sheet: async (name) => {
      asked.push(name);
      return sheet(name);
    },
  };
  return { asked, clock, story: new Story(source, () => 0, () => clock.now) };
}

async function wanted(told: Parameters<typeof server>[0] = {}, changing = false) {
  const all = server(told);
  all.story.want(changing);
  await settle();
  return all;
}

const fail = (): never => {
  throw new Error('no answer');
};

it('nothing_is_asked_for_before_it_is_wanted_and_then_once', async () => {
  const { asked, clock, story } = server();
  expect([story.at(on(0)), asked]).toEqual([null, []]);
  story.want(false);
  story.want(false);
  await settle();
  clock.now += 10 * AGAIN_MS;
  story.want(false);
  await settle();
  expect(asked).toEqual(['text']);
});

it('a_recording_that_has_none_is_not_asked_again', async () => {
  const { asked, clock, story } = await wanted({ text: () => null });
  clock.now += 10 * AGAIN_MS;
  story.want(false);
  await settle();
  expect([story.at(on(0)), asked]).toEqual([null, ['text']]);
});

it('one_that_still_runs_is_asked_once_a_minute_and_a_last_time_after_its_end', async () => {
  const { asked, clock, story } = await wanted({}, true);
  for (let i = 0; i < 10; i += 1) {
    clock.now += AGAIN_MS / 4;
    story.want(true);
    await settle();
  }
  expect(asked.length).toBe(3);
  expect(story.at(on(3))?.tile.sheet).toBe('s-3.jpg?until=840000');
  for (let i = 0; i < 10; i += 1) {
    clock.now += AGAIN_MS;
    story.want(false);
    await settle();
  }
  expect(asked.length).toBe(4);
  expect(story.at(on(3))?.tile.sheet).toBe('s-3.jpg');
});

it('a_server_that_does_not_answer_is_asked_again_after_a_minute', async () => {
  let away = true;
  const { asked, clock, story } = await wanted({ text: () => (away ? fail() : WEBVTT) });
  clock.now += AGAIN_MS - 1;
  story.want(false);
  away = false;
  clock.now += 1;
  story.want(false);
  await settle();
  expect([asked, story.at(on(0))?.tile.x]).toEqual([['text', 'text'], 160]);
});

it('a_picture_is_there_when_its_sheet_has_come', async () => {
  const { asked, story } = await wanted();
  expect(story.at(on(2))).toMatchObject({ tile: { sheet: 's-2.jpg' }, sheet: null });
  story.bring(on(2));
  story.bring(on(2));
  await settle();
  story.bring(on(2));
  await settle();
  expect(story.at(on(2))).toMatchObject({ tile: { x: 160 }, sheet: { src: 's-2.jpg' } });
  expect(asked).toEqual(['text', 's-2.jpg']);
});

it('who_sweeps_over_the_bar_gets_the_sheet_where_it_ends', async () => {
  const { asked, story } = await wanted();
  for (let i = 0; i < 20; i += 1) story.bring(on(i));
  await settle();
  expect(asked).toEqual(['text', 's-0.jpg', 's-19.jpg']);
  story.bring(on(5));
  story.bring(on(6));
  story.bring(0);
  await settle();
  expect(asked.slice(3), 'what is wished for no more is not loaded').toEqual(['s-5.jpg']);
});

it('a_sheet_that_does_not_come_leaves_the_time_alone', async () => {
  const { asked, clock, story } = await wanted({ sheet: fail });
  story.bring(on(0));
  await settle();
  story.bring(on(0));
  await settle();
  expect([story.at(on(0)), asked]).toEqual([null, ['text', 's-0.jpg']]);
  clock.now += AGAIN_MS;
  story.bring(on(0));
  await settle();
  expect(asked.length).toBe(3);
});

it('a_picture_beside_its_sheet_is_none', async () => {
  const { story } = await wanted({ sheet: (src) => ({ src, naturalWidth: 319, naturalHeight: 90 }) });
  story.bring(on(0));
  await settle();
  expect(story.at(on(0))).toBeNull();
});

it('only_so_many_sheets_are_held', async () => {
  const { asked, story } = await wanted();
  for (const i of [...Array.from({ length: SHEETS_MAX + 1 }, (_, i) => i), 1, 0]) {
    story.bring(on(i));
    await settle();
  }
  expect(asked.filter((name) => name === 's-1.jpg').length).toBe(1);
  expect(asked.filter((name) => name === 's-0.jpg').length).toBe(2);
});
