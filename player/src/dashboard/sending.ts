/** A file on its way to the server, piece by piece (tus): it goes on behind a break, a restarted server and a closed page. */
import { computed, signal, type ReadonlySignal } from '@preact/signals';
import type { DetailedError, Upload } from 'tus-js-client';
import { field, text } from '../decode.ts';
import { session } from './client.ts';

/** What one request carries: a proxy in front may have a limit of its own, and a break costs little. */
const PIECE_BYTES = 32 * 1024 * 1024;
/** Tried again after so long, until something comes through; then from the start of the list. */
const PAUSES_MS = [0, 1_000, 3_000, 5_000, 10_000, 20_000, 30_000];

export type State = 'sending' | 'paused' | 'sent' | 'failed';

let count = 0;

export class Sending {
  readonly key = ++count;
  readonly name: string;
  readonly size: number;
  readonly state = signal<State>('sending');
  readonly sent = signal(0);
  /** Why it failed, in the server's words. */
  readonly trouble = signal('');
  /** The recording it becomes, once the server knows of it. */
  readonly id = signal<string | null>(null);
  /** Hundredths, rounded down: 100 is all. */
  readonly percent: ReadonlySignal<number>;
  private readonly file: File;
  private upload: Upload | null = null;

  constructor(file: File) {
    this.file = file;
    this.name = file.name;
    this.size = file.size;
    this.percent = computed(() => (this.state.value === 'sent' ? 100 : Math.min(99, percentOf(this.sent.value, this.size))));
  }

  async begin(): Promise<void> {
    const tus = await import('tus-js-client');
    const upload = new tus.Upload(this.file, {
      endpoint: '/api/v1/uploads',
      chunkSize: PIECE_BYTES,
      retryDelays: PAUSES_MS,
      removeFingerprintOnSuccess: true,
      metadata: { filename: this.file.name },
      onShouldRetry: (error) => isWorthAnotherTry(statusOf(error)),
      onUploadUrlAvailable: () => (this.id.value = idOf(upload.url)),
      onProgress: (sent) => (this.sent.value = sent),
      onSuccess: () => {
        this.id.value = idOf(upload.url);
        this.state.value = 'sent';
      },
      onError: (error) => this.fail(error),
    });
    this.upload = upload;
    // The same file again, after a reload: where it was.
    const known = await upload.findPreviousUploads();
    if (known[0]) upload.resumeFromPreviousUpload(known[0]);
    if (this.state.value === 'sending') upload.start();
  }

  pause(): void {
    this.state.value = 'paused';
    void this.upload?.abort();
  }

  resume(): void {
    this.trouble.value = '';
    this.state.value = 'sending';
    this.upload?.start();
  }

  /** Gives it up, and lets the server forget what came. */
  async cancel(): Promise<void> {
    this.state.value = 'paused';
    // What the server can't be told now it forgets by itself after a day.
    await this.upload?.abort(true).catch(() => undefined);
  }

  private fail(error: Error | DetailedError): void {
    if (statusOf(error) === 401 && session.value) session.value = { ...session.value, signedIn: false };
    this.trouble.value = wordsOf(error);
    this.state.value = 'failed';
  }
}

/** Those of this visit, oldest first. */
export const sendings = signal<readonly Sending[]>([]);

export function send(files: readonly File[]): void {
  const begun = files.map((file) => new Sending(file));
  sendings.value = [...sendings.value, ...begun];
  for (const each of begun) void each.begin();
}

export function forget(sending: Sending): void {
  sendings.value = sendings.value.filter((each) => each !== sending);
}

export function percentOf(part: number, whole: number): number {
  return whole > 0 ? Math.floor((part / whole) * 100) : 0;
}

/** The network, a server that restarts, and a piece that another request still writes. A full disk stays full. */
export function isWorthAnotherTry(status: number): boolean {
  return status === 0 || status === 409 || status === 423 || (status >= 500 && status !== 507);
}

export function idOf(url: string | null): string | null {
  return url?.split('/').at(-1) || null;
}

function responseOf(error: Error | DetailedError): DetailedError['originalResponse'] {
  return 'originalResponse' in error ? error.originalResponse : null;
}

function statusOf(error: Error | DetailedError): number {
  return responseOf(error)?.getStatus() ?? 0;
}

function wordsOf(error: Error | DetailedError): string {
  return sentenceOf(responseOf(error)?.getBody() ?? '') ?? 'The server does not answer. Try again when it does; what was sent is kept for a day.';
}

/** The server's own sentence in the body of a refusal. */
export function sentenceOf(body: string): string | null {
  try {
    return text(field(JSON.parse(body) as unknown, 'message'));
  } catch {
    return null;
  }
}
