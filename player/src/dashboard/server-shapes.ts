/** What the operator's API says of the server itself, of the sign-in and of changes that were made. */
import { field, list, number, text } from '../decode.ts';

export interface Session {
  readonly signedIn: boolean;
  /** False: the browser would not keep the cookie, because the page came in clear from another machine. */
  readonly secure: boolean;
  /** The server's address with HTTPS, when it has one. */
  readonly https: string | null;
}

export interface Warning {
  readonly code: string;
  readonly message: string;
}

export interface Server {
  readonly version: string | null;
  readonly startedMs: number | null;
  readonly nowMs: number | null;
  readonly live: number | null;
  readonly streamsMax: number | null;
  readonly cpu: { readonly cores: number | null; readonly used: number | null };
  readonly memory: { readonly usedBytes: number | null; readonly totalBytes: number | null; readonly availableBytes: number | null };
  readonly budget: { readonly cores: number | null; readonly planned: number | null; readonly free: number | null };
  readonly disk: { readonly path: string | null; readonly freeBytes: number | null; readonly totalBytes: number | null };
  readonly gstreamer: string | null;
  readonly encoder: string | null;
  readonly rtmp: string | null;
  readonly rtmps: string | null;
  readonly https: string | null;
  readonly dataDir: string | null;
  readonly warnings: readonly Warning[];
}

export interface AuditRow {
  readonly seq: number;
  readonly atMs: number | null;
  readonly actor: string;
  readonly act: string;
  readonly target: string;
  /** Names and values, as they are: they differ from act to act. */
  readonly detail: Readonly<Record<string, unknown>>;
}

export function decodeSession(body: unknown): Session {
  return {
    signedIn: field(body, 'signed_in') === true,
    // A server that does not say is not one to lock the operator out of.
    secure: field(body, 'secure') !== false,
    https: webAddress(field(body, 'https')),
  };
}

export function decodeServer(body: unknown): Server {
  const part = (name: string) => (inner: string) => field(field(body, name), inner);
  const [cpu, memory, budget, disk, ingest] = [part('cpu'), part('memory'), part('budget'), part('disk'), part('ingest')];
  return {
    version: text(field(body, 'version')),
    startedMs: number(field(body, 'started_ms')),
    nowMs: number(field(body, 'now_ms')),
    live: number(field(body, 'live')),
    streamsMax: number(field(body, 'streams_max')),
    cpu: { cores: number(cpu('cores')), used: number(cpu('used')) },
    memory: {
      usedBytes: number(memory('used_bytes')),
      totalBytes: number(memory('total_bytes')),
      availableBytes: number(memory('available_bytes')),
    },
    budget: { cores: number(budget('cores')), planned: number(budget('planned')), free: number(budget('free')) },
    disk: { path: text(disk('path')), freeBytes: number(disk('free_bytes')), totalBytes: number(disk('total_bytes')) },
    gstreamer: text(field(body, 'gstreamer')),
    encoder: text(field(body, 'encoder')),
    rtmp: text(ingest('rtmp')),
    rtmps: text(ingest('rtmps')),
    https: webAddress(field(body, 'https')),
    dataDir: text(field(body, 'data_dir')),
    warnings: list(field(body, 'warnings'), decodeWarning),
  };
}

export function decodeAudit(body: unknown): AuditRow[] {
  return list(field(body, 'rows'), (row) => {
    const seq = number(field(row, 'seq'));
    if (seq === null) return null;
    return {
      seq,
      atMs: number(field(row, 'at_ms')),
      actor: text(field(row, 'actor')) ?? '',
      act: text(field(row, 'act')) ?? '',
      target: text(field(row, 'target')) ?? '',
      detail: decodeDetail(field(row, 'detail')),
    };
  });
}

function decodeDetail(detail: unknown): Record<string, unknown> {
  return typeof detail === 'object' && detail !== null ? { ...detail } : {};
}

function decodeWarning(body: unknown): Warning | null {
  const message = text(field(body, 'message'));
  return message ? { code: text(field(body, 'code')) ?? '', message } : null;
}

/** It becomes a link, so nothing but HTTPS is let through. */
function webAddress(value: unknown): string | null {
  const address = text(value);
  return address?.startsWith('https://') ? address : null;
}
