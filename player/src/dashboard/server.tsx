/** `/dashboard/server`: what the machine has, how much of it is used, and what the operator should know. */
import { Copy } from '../copy.tsx';
import { call } from './client.ts';
import { bytes, decimal, UNKNOWN, whole } from './figures.ts';
import { Pairs, type Facts } from './pairs.tsx';
import { usePolled } from './polled.ts';
import { decodeServer, type Server } from './server-shapes.ts';
import { Skeleton, Trouble, useTitle } from './shell.tsx';
import { lasted, moment } from './time.ts';
import { ToneMark } from './tone.tsx';

const REFRESH_MS = 2_000;
/** From this share on a gauge warns: the rest is what a machine needs for peaks. */
const FULL = 0.9;

export function ServerPage() {
  useTitle('Server');
  const { data, trouble, atMs } = usePolled(async () => decodeServer(await call('GET', '/server')), REFRESH_MS);
  const server = data.value;
  return (
    <>
      <div class="page-head">
        <h1 tabIndex={-1}>Server</h1>
      </div>
      <Trouble trouble={trouble.value} atMs={atMs.value} />
      {!server && <Skeleton lines={4} label="The server's figures are being loaded" />}
      {server && (
        <div class={trouble.value ? 'server-page stale' : 'server-page'}>
          <Warnings server={server} />
          <Gauges server={server} />
          <div class="columns">
            <Versions server={server} />
            <Addresses server={server} />
          </div>
        </div>
      )}
    </>
  );
}

function Warnings({ server }: { server: Server }) {
  if (!server.warnings.length) return null;
  return (
    <section class="card-panel health warning" aria-labelledby="warnings-title">
      <h2 id="warnings-title">To look at</h2>
      <ul class="issues">
        {server.warnings.map(({ code, message }) => (
          <li key={code + message} class="warning">
            <ToneMark tone="warning" />
            <p>{message}</p>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Gauges({ server }: { server: Server }) {
  const { cpu, memory, budget, disk } = server;
  const used = disk.totalBytes !== null && disk.freeBytes !== null ? disk.totalBytes - disk.freeBytes : null;
  const taken = memory.totalBytes !== null && memory.availableBytes !== null ? memory.totalBytes - memory.availableBytes : null;
  return (
    <div class="gauges">
      <Gauge
        title="Processor" value={decimal(cpu.used, 2)} of={`of ${whole(cpu.cores)} cores`} share={share(cpu.used, cpu.cores)}
        note="Used by Weir and its workers just now."
      />
      <Gauge
        title="Planned for encoding" value={decimal(budget.planned, 1)} of={`of ${decimal(budget.cores, 1)} cores`}
        share={share(budget.planned, budget.cores)} note={`${decimal(budget.free, 1)} cores are left for more renditions.`}
      />
      <Gauge
        title="Memory" value={bytes(memory.availableBytes)} of={`free of ${bytes(memory.totalBytes)}`}
        share={share(taken, memory.totalBytes)} note={`Weir and its workers use ${bytes(memory.usedBytes)}.`}
      />
      <Gauge
        title="Disk" value={bytes(disk.freeBytes)} of={`free of ${bytes(disk.totalBytes)}`}
        share={share(used, disk.totalBytes)} note={disk.path ?? ''}
      />
      <Gauge
        title="Streams" value={whole(server.live)} of="live"
        share={share(server.live, server.streamsMax)}
        note={server.streamsMax === null ? '' : `At most ${whole(server.streamsMax)} at a time.`}
      />
    </div>
  );
}

function Gauge({ title, value, of, share, note }: { title: string; value: string; of: string; share: number | null; note: string }) {
  const isFull = share !== null && share >= FULL;
  return (
    <section class={isFull ? 'card-panel gauge full' : 'card-panel gauge'}>
      <h2>{title}</h2>
      <p class="gauge-figure">
        <b>{value}</b> <span>{of}</span>
      </p>
      <svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true" focusable="false">
        <rect class="gauge-ground" width="100" height="4" />
        <rect class="gauge-bar" width={(share ?? 0) * 100} height="4" />
      </svg>
      <p class="hint">
        {isFull && <b>Nearly full. </b>}
        {note}
      </p>
    </section>
  );
}

function Versions({ server }: { server: Server }) {
  const now = server.nowMs ?? Date.now();
  const facts: Facts = [
    ['Weir', server.version ?? UNKNOWN],
    ['GStreamer', server.gstreamer?.replace(/^GStreamer /, '') ?? UNKNOWN],
    ['Encoder', server.encoder ?? UNKNOWN],
    ['Running since', server.startedMs === null ? UNKNOWN : `${moment(server.startedMs, now)} (${lasted(now - server.startedMs)})`],
    ['Data folder', server.dataDir ?? UNKNOWN],
  ];
  return (
    <section aria-labelledby="versions-title">
      <h2 id="versions-title" class="small-head">
        This server
      </h2>
      <Pairs facts={facts} class="pairs" />
    </section>
  );
}

function Addresses({ server: { rtmp, rtmps, https } }: { server: Server }) {
  return (
    <section aria-labelledby="addresses-title">
      <h2 id="addresses-title" class="small-head">
        Addresses
      </h2>
      {rtmp && <Copy label="For encoders" text={rtmp} />}
      {rtmps && <Copy label="For encoders, encrypted" text={rtmps} />}
      {https && <Copy label="Pages with HTTPS" text={https} />}
      {!rtmp && !rtmps && <p class="hint">No listener takes streams at present.</p>}
    </section>
  );
}

function share(part: number | null, whole: number | null): number | null {
  return part === null || whole === null || whole <= 0 ? null : Math.min(1, Math.max(0, part / whole));
}
