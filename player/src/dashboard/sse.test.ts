import { expect, it } from 'vitest';
import { EventParser } from './sse.ts';

const STREAM = [
  ': ping\r\n\r\nevent: health\r\ndata: {"a":1}\r\n\r\n',
  'data: one\ndata:two\ndata\n\n',
  'event: empty\n\rid: 4\rretry: 5\revent: log\rdata: last\r\r\n',
].join('');
const EVENTS = [
  { name: 'health', data: '{"a":1}' },
  { name: 'message', data: 'one\ntwo\n' },
  { name: 'log', data: 'last' },
];

it('reads_the_same_events_wherever_the_stream_is_cut', () => {
  for (let first = 0; first <= STREAM.length; first += 1) {
    for (let second = first; second <= STREAM.length; second += 1) {
      const parser = new EventParser();
      const events = [STREAM.slice(0, first), STREAM.slice(first, second), STREAM.slice(second)].flatMap((chunk) => parser.push(chunk));
      expect(events, `cut at ${first} and ${second}`).toEqual(EVENTS);
    }
  }
});

it('an_event_is_given_when_its_empty_line_came_and_not_before', () => {
  const parser = new EventParser();
  expect(parser.push('event: stats\ndata: {}\n')).toEqual([]);
  expect(parser.push('\n')).toEqual([{ name: 'stats', data: '{}' }]);
});

it('a_line_without_end_does_not_fill_the_memory_and_what_comes_later_is_read', () => {
  const parser = new EventParser();
  expect(parser.push(`data: ${'x'.repeat(1_100_000)}`)).toEqual([]);
  expect(parser.push('\n\ndata: fine\n\n')).toEqual([{ name: 'message', data: 'fine' }]);
});
