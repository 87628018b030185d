import { expect, it } from 'vitest';
import { baseOf, nameInPath, ticketInPath, withTicket } from './name.ts';

it('an_address_says_which_stream_and_by_which_right', () => {
  const read = (path: string) => [nameInPath(path), ticketInPath(path)];
  expect(read('/watch/demo')).toEqual(['demo', null]);
  expect(read('/embed/demo~secret')).toEqual(['demo~secret', null]);
  expect(read('/p/Ab-_9/watch/p')).toEqual(['p', 'Ab-_9']);
  expect(read('/p/Ab-_9/embed/demo')).toEqual(['demo', 'Ab-_9']);
  expect([baseOf(null), baseOf('Ab-_9')]).toEqual(['', '/p/Ab-_9']);
});

it('only_the_ticket_of_an_address_is_renewed', () => {
  const old = 'https://host/p/old/live/demo/s/720p.m3u8?_HLS_msn=7';
  expect(withTicket(old, 'n-w')).toBe('https://host/p/n-w/live/demo/s/720p.m3u8?_HLS_msn=7');
  expect(withTicket(old, null)).toBe(old);
  expect(withTicket('https://host/live/demo/s/720p.m3u8', 'n-w')).toBe('https://host/live/demo/s/720p.m3u8');
});
