import { expect, it } from 'vitest';
import { pathOf, routeOf } from './route.ts';

it('every_page_is_found_at_the_address_it_gives', () => {
  const streams = ['demo', 'a/b?c'].map((name) => ({ at: 'stream', name }) as const);
  const recordings = [{ at: 'recordings' } as const, { at: 'recording', id: '0198c0de' } as const];
  for (const route of [{ at: 'streams' } as const, { at: 'server' } as const, { at: 'audit' } as const, ...streams, ...recordings]) {
    expect(routeOf(pathOf(route))).toEqual(route);
  }
});

it('a_slash_at_the_end_does_not_matter', () => {
  expect(routeOf('/dashboard/')).toEqual({ at: 'streams' });
  expect(routeOf('/dashboard/streams/')).toEqual({ at: 'streams' });
  expect(routeOf('/dashboard/streams/demo/')).toEqual({ at: 'stream', name: 'demo' });
});

it('an_address_of_nothing_is_nowhere', () => {
  const below = ['/nothing', '/server/more', '/streams/a/b', '/streams/%E0%A4%A', '/recordings/a/b'].map((path) => `/dashboard${path}`);
  for (const path of ['/', '/watch/demo', '/dashboards', ...below]) {
    expect(routeOf(path), path).toEqual({ at: 'nowhere' });
  }
});
