/** Asks the operator's API. Every no becomes a `Refusal` with the server's own sentence; no answer becomes `Away`. */
import { signal } from '@preact/signals';
import { field, text } from '../decode.ts';
import { decodeSession, type Session } from './server-shapes.ts';

/** The server said no, and why. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The server did not answer: the cause is the network or the server, not what was asked. */
export class Away extends Error {
  constructor() {
    super('The server does not answer.');
  }
}

/** Null until the server told; the page shows the sign-in form when it says signed out. */
export const session = signal<Session | null>(null);

/** An answer later than this is treated as none; making a stream or a key is quick. */
const PATIENCE_MS = 8_000;
/** A slate may be 8 MiB over a slow line. */
const UPLOAD_PATIENCE_MS = 120_000;

type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';

/** The decoded JSON of the answer, or null when it has no body. */
export async function call(method: Method, path: string, body?: unknown, patience_ms = PATIENCE_MS): Promise<unknown> {
  const json = body !== undefined && !(body instanceof Blob);
  const headers: Record<string, string> = { accept: 'application/json' };
  if (json) headers['content-type'] = 'application/json';
  else if (body instanceof Blob) headers['content-type'] = body.type;
  let answer: Response;
  try {
    answer = await fetch(`/api/v1${path}`, {
      method, headers, cache: 'no-store',
      body: json ? JSON.stringify(body) : body instanceof Blob ? body : null,
      signal: AbortSignal.timeout(body instanceof Blob ? UPLOAD_PATIENCE_MS : patience_ms),
    });
  } catch {
    throw new Away();
  }
  if (answer.ok) return answer.status === 204 ? null : await answer.json().catch(() => null);
  throw await refusal(answer, path);
}

export async function refusal(answer: Response, path: string): Promise<Refusal> {
  const said: unknown = await answer.json().catch(() => null);
  if (answer.status === 401 && path !== '/session' && session.value) session.value = { ...session.value, signedIn: false };
  const otherwise = `The server answered ${answer.status} without saying why. Its log may know more.`;
  return new Refusal(answer.status, text(field(said, 'code')) ?? '', text(field(said, 'message')) ?? otherwise);
}

/** The path of a stream's routes. */
export function streamPath(name: string, rest = ''): string {
  return `/streams/${encodeURIComponent(name)}${rest}`;
}

/** The path of a recording's routes. */
export function recordingPath(id: string, rest = ''): string {
  return `/recordings/${encodeURIComponent(id)}${rest}`;
}

/** What to tell a person about anything that was thrown. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export async function askSession(): Promise<void> {
  session.value = decodeSession(await call('GET', '/session'));
}

export async function signIn(token: string): Promise<void> {
  await call('POST', '/session', { token });
  const was = session.value;
  session.value = { signedIn: true, secure: true, https: was?.https ?? null };
}

export async function signOut(): Promise<void> {
  await call('DELETE', '/session');
  const was = session.value;
  session.value = { signedIn: false, secure: was?.secure ?? true, https: was?.https ?? null };
}
