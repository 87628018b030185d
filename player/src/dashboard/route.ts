/** Which page an address means, and the address of a page. Pure. */

export type Route =
  | { readonly at: 'streams' }
  | { readonly at: 'stream'; readonly name: string }
  | { readonly at: 'recordings' }
  | { readonly at: 'recording'; readonly id: string }
  | { readonly at: 'server' }
  | { readonly at: 'audit' }
  | { readonly at: 'nowhere' };

export function routeOf(path: string): Route {
  const [root, page, name, ...more] = path.split('/').filter((part) => part !== '');
  if (root !== 'dashboard' || more.length) return { at: 'nowhere' };
  if (page === undefined) return { at: 'streams' };
  if (page === 'streams') {
    if (name === undefined) return { at: 'streams' };
    const decoded = decodedPart(name);
    return decoded === null ? { at: 'nowhere' } : { at: 'stream', name: decoded };
  }
  if (page === 'recordings') {
    if (name === undefined) return { at: 'recordings' };
    const decoded = decodedPart(name);
    return decoded === null ? { at: 'nowhere' } : { at: 'recording', id: decoded };
  }
  if ((page === 'server' || page === 'audit') && name === undefined) return { at: page };
  return { at: 'nowhere' };
}

export function pathOf(route: Exclude<Route, { at: 'nowhere' }>): string {
  switch (route.at) {
    case 'streams':
      return '/dashboard';
    case 'stream':
      return `/dashboard/streams/${encodeURIComponent(route.name)}`;
    case 'recording':
      return `/dashboard/recordings/${encodeURIComponent(route.id)}`;
    case 'recordings':
    case 'server':
    case 'audit':
      return `/dashboard/${route.at}`;
  }
}

function decodedPart(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}
