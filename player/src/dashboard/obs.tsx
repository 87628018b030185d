/** What goes into OBS to go live: server, key and the few settings that matter, in the order OBS asks for them. */
import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { Copy } from '../copy.tsx';
import { call, reason } from './client.ts';
import { decodeServer, type Server } from './server-shapes.ts';
import { Pairs, type Facts } from './pairs.tsx';

/** The addresses seldom change: asked for once per visit, and again when that failed. */
const server = signal<Server | null>(null);
const fault = signal<string | null>(null);

const OUTPUT: Facts = [
  ['Keyframe interval', '2 s'],
  ['Rate control', 'CBR'],
  ['B-frames', '0 to 2'],
  ['Audio', 'AAC, 128 kb/s or more'],
  ['Audio sample rate', '48 kHz'],
];

export interface ObsProps {
  /** The key, at the only moment when it is known. */
  readonly streamKey?: string;
  readonly onCopied?: () => void;
  /** The way to a new key, where the present one cannot be shown. */
  readonly makeKey?: ComponentChildren;
}

export function ObsSteps({ streamKey, onCopied, makeKey }: ObsProps) {
  useEffect(() => {
    if (server.value) return;
    call('GET', '/server').then(
      (body) => {
        server.value = decodeServer(body);
        fault.value = null;
      },
      (error: unknown) => (fault.value = reason(error)),
    );
  }, []);
  return (
    <ol class="steps">
      <li>
        In OBS open <b>Settings</b>, <b>Stream</b>, and choose the service <b>Custom…</b>
      </li>
      <li>
        Paste the server and the stream key.
        <Doors>
          {streamKey ? (
            <div
              onCopy={onCopied} onClick={(event) => {
                if (event.target instanceof HTMLButtonElement) onCopied?.();
              }}
            >
              <Copy label="Stream key" text={streamKey} />
            </div>
          ) : (
            <div class="key-lost">
              <p class="hint">The key was shown when it was made, and cannot be shown again.</p>
              {makeKey}
            </div>
          )}
        </Doors>
      </li>
      <li>
        Under <b>Output</b> (mode <b>Advanced</b>) and <b>Audio</b> set these.
        <Pairs facts={OUTPUT} class="recipe" />
      </li>
      <li>
        Press <b>Start Streaming</b>. The stream is live here a few seconds later.
      </li>
    </ol>
  );
}

/** The addresses, with the key between the one most encoders take and the other. */
function Doors({ children }: { children: ComponentChildren }) {
  if (!server.value) {
    return (
      <>
        <p class="hint">{fault.value ?? 'Asking for the address…'}</p>
        {children}
      </>
    );
  }
  const { rtmp, rtmps } = server.value;
  if (!rtmp && !rtmps) {
    return (
      <>
        <p class="hint">
          This server takes no streams at present: switch <code>rtmp</code> or <code>rtmps</code> on in <code>weir.toml</code>.
        </p>
        {children}
      </>
    );
  }
  return (
    <>
      <Copy label="Server" text={rtmp ?? rtmps ?? ''} />
      {children}
      {rtmp && rtmps && <Copy label="Server with encryption, in place of the one above" text={rtmps} />}
    </>
  );
}
