/** `demo` from `/watch/demo`. The server only serves these pages for names of `[a-z0-9_-]{1,64}`. */
export function nameInPath(path: string): string {
  return decodeURIComponent(path.split('/')[2] ?? '');
}
