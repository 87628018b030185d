/** `/dashboard/audit`: every change that was made, newest first. */
import { useSignal } from '@preact/signals';
import { Fault, useDoing } from './act.tsx';
import { call } from './client.ts';
import { detailLines } from './detail.ts';
import { usePolled } from './polled.ts';
import { decodeAudit, type AuditRow } from './server-shapes.ts';
import { Skeleton, Trouble, useTitle } from './shell.tsx';
import { moment } from './time.ts';

const REFRESH_MS = 10_000;
const PAGE_ROWS = 50;

/** Acts that this page knows in words; others are shown as they are. */
const ACTS: Readonly<Record<string, string>> = {
  'stream.add': 'Stream added',
  'stream.set': 'Settings changed',
  'stream.remove': 'Stream removed',
  'stream.stop': 'Stream stopped',
  'stream.allow': 'Stream allowed',
  'slate.set': 'Slate image set',
  'slate.remove': 'Slate image removed',
  'key.rotate': 'New key made',
  'key.revoke': 'Key revoked',
  'recording.start': 'Recording started',
  'recording.stop': 'Recording stopped',
  'recording.edit': 'Recording edited',
  'recording.trash': 'Recording put in the trash',
  'recording.restore': 'Recording restored',
  'recording.delete': 'Recording deleted for good',
  'recording.clip': 'Clip made',
  'target.add': 'Target added',
  'target.start': 'Target started',
  'target.stop': 'Target stopped',
  'target.key': 'Target given another key',
  'target.remove': 'Target removed',
};

export function AuditPage() {
  useTitle('Audit');
  /** Older than the newest page, newest first. */
  const older = useSignal<readonly AuditRow[]>([]);
  const isAll = useSignal(false);
  const doing = useDoing();
  const { data, trouble, atMs } = usePolled(async () => {
    const rows = decodeAudit(await call('GET', `/audit?limit=${PAGE_ROWS}`)).reverse();
    if (rows.length < PAGE_ROWS) isAll.value = true;
    return rows;
  }, REFRESH_MS);
  const newest = data.value;
  const last = newest?.at(-1);
  const rows = [...(newest ?? []), ...older.value.filter(({ seq }) => !last || seq < last.seq)];
  const more = (): void =>
    void doing.run(async () => {
      const before = rows.at(-1)?.seq ?? 0;
      const page = decodeAudit(await call('GET', `/audit?before=${before}&limit=${PAGE_ROWS}`)).reverse();
      // Rows that the newest page no longer holds are kept here, so that none falls between the two.
      older.value = [...rows, ...page];
      isAll.value = page.length < PAGE_ROWS;
    });
  return (
    <>
      <div class="page-head">
        <div>
          <h1 tabIndex={-1}>Audit</h1>
          <p class="facts">Every change, and who made it.</p>
        </div>
      </div>
      <Trouble trouble={trouble.value} atMs={atMs.value} />
      {!newest && <Skeleton lines={6} label="The changes are being loaded" />}
      {newest?.length === 0 && <p class="hint">No change was made yet.</p>}
      {rows.length > 0 && (
        <ol class={trouble.value ? 'audit stale' : 'audit'} reversed>
          {rows.map((row) => (
            <Row key={row.seq} row={row} />
          ))}
        </ol>
      )}
      <Fault doing={doing} />
      {newest && newest.length > 0 && !isAll.value && (
        <button type="button" class="button" onClick={more} disabled={doing.busy.value}>
          {doing.busy.value ? 'One moment…' : 'Show older'}
        </button>
      )}
    </>
  );
}

function Row({ row: { atMs, actor, act, target, detail } }: { row: AuditRow }) {
  const lines = detailLines(detail, Date.now());
  return (
    <li>
      <time dateTime={atMs === null ? undefined : new Date(atMs).toISOString()}>{atMs === null ? '' : moment(atMs, Date.now())}</time>
      <span>
        <b>{ACTS[act] ?? act}</b> <span>{target}</span>
      </span>
      <span class="audit-actor">{actor}</span>
      {lines.length > 0 && (
        <span class="audit-detail">
          {lines.map((line) => (
            <span key={line}>{line}</span>
          ))}
        </span>
      )}
    </li>
  );
}
