/** `/dashboard/recordings`: everything that was recorded, and the trash. What is searched for stands in the address. */
import { useSignalEffect } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { search, turn } from '../address.ts';
import { Finder } from '../recordings/finder.tsx';
import { Listing } from '../recordings/listing.ts';
import { More } from '../recordings/more.tsx';
import { Picture } from '../recordings/picture.tsx';
import { apiQuery, isNarrow, readWanted, SIZE_SORT, SORTS, writeWanted, type Wanted } from '../recordings/query.ts';
import { decodePage, lengthOf, STATUSES, titleOf, VISIBILITIES, type Recording } from '../recordings/shape.ts';
import { isoLength, stamp } from '../recordings/time.ts';
import { call } from './client.ts';
import { bytes, counted } from './figures.ts';
import { usePolled } from './polled.ts';
import { pathOf } from './route.ts';
import { statusSaid, visibilityWord } from './said-recording.ts';
import { decodeStreams } from './shapes.ts';
import { Skeleton, Trouble, useTitle } from './shell.tsx';
import { moment } from './time.ts';
import { Chip } from './tone.tsx';
import { Uploads } from './upload.tsx';

const REFRESH_MS = 5_000;
/** Streams are added seldom. */
const STREAMS_MS = 60_000;

export function RecordingsPage() {
  useTitle('Recordings');
  const listing = useMemo(
    () => new Listing(async (wanted, limit, cursor) => decodePage(await call('GET', `/recordings?${apiQuery(wanted, limit, cursor)}`))),
    [],
  );
  useSignalEffect(() => void listing.want(readWanted(search.value)));
  useEffect(() => listing.begin(REFRESH_MS), [listing]);
  const wanted = readWanted(search.value);
  const rows = listing.rows.value;
  const total = listing.total.value;
  const trouble = listing.trouble.value;
  return (
    <>
      <div class="page-head">
        <div>
          <h1 tabIndex={-1}>{wanted.trashed ? 'Trash' : 'Recordings'}</h1>
          <p class="facts" role="status">
            {total !== null && counted(total, 'recording')}
          </p>
        </div>
      </div>
      {!wanted.trashed && <Uploads />}
      <Filters wanted={wanted} rows={rows ?? []} />
      <Trouble trouble={trouble} atMs={listing.atMs.value} />
      <div class={trouble && rows ? 'stale' : undefined} aria-busy={listing.busy.value}>
        {!rows && trouble === null && <Skeleton lines={5} label="The recordings are being loaded" />}
        {rows?.length === 0 && <p class="hint">{nothing(wanted)}</p>}
        {rows && rows.length > 0 && (
          <>
            <ul class="rows">
              {rows.map((recording) => (
                <Row key={recording.id} recording={recording} />
              ))}
            </ul>
            <More listing={listing} rows=".row-name a" />
          </>
        )}
      </div>
    </>
  );
}

function nothing(wanted: Wanted): string {
  if (isNarrow({ ...wanted, trashed: false })) return 'Nothing was found. Take away a filter, or search for less.';
  return wanted.trashed
    ? 'The trash is empty.'
    : 'Nothing was recorded yet. On the page of a stream you say whether it is recorded, and begin while it is live.';
}

function Filters({ wanted, rows }: { wanted: Wanted; rows: readonly Recording[] }) {
  const { data } = usePolled(async () => decodeStreams(await call('GET', '/streams')), STREAMS_MS);
  const want = (part: Partial<Wanted>): void => turn(writeWanted({ ...wanted, ...part }));
  // Recordings outlive their streams, so those of the rows may be chosen as well.
  const names = new Set([...(data.value ?? []), ...rows.map(({ stream }) => ({ name: stream })), { name: wanted.stream }].map(({ name }) => name));
  names.delete('');
  const choice = <V extends string>(label: string, value: V, choices: readonly (readonly [V, string])[], choose: (value: V) => void) => (
    <label class="sorting">
      <span class="unseen">{label}</span>
      <select value={value} onChange={(event) => choose(event.currentTarget.value as V)}>
        {choices.map(([each, name]) => (
          <option key={each} value={each}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <div class="narrowing">
      <Finder text={wanted.q} onFind={(q) => want({ q })} />
      {choice('Stream', wanted.stream, [['', 'All streams'], ...[...names].sort().map((name) => [name, name] as const)], (stream) => want({ stream }))}
      {choice('Status', wanted.status, [['', 'Any status'], ...STATUSES.map((status) => [status, statusSaid(status).word] as const)], (status) => want({ status }))}
      {choice(
        'Visibility', wanted.visibility, [['', 'Any visibility'], ...VISIBILITIES.map((each) => [each, visibilityWord(each)] as const)],
        (visibility) => want({ visibility }),
      )}
      {choice('Place', wanted.trashed ? 'trash' : 'kept', [['kept', 'Kept'], ['trash', 'Trash']], (place) => want({ trashed: place === 'trash' }))}
      {choice('Order', wanted.sort, [...SORTS, SIZE_SORT], (sort) => want({ sort }))}
    </div>
  );
}

function Row({ recording }: { recording: Recording }) {
  const { id, stream, startedMs, sizeBytes, visibility, status, percent, clipOf } = recording;
  const now = Date.now();
  const length_s = lengthOf(recording, now);
  return (
    <li class="row kept-row">
      <span class="row-picture" aria-hidden="true">
        <Picture recording={recording} />
      </span>
      <span class="row-name">
        <a href={pathOf({ at: 'recording', id })}>{titleOf(recording)}</a>
        <span class="hint">
          {stream}
          {clipOf && ', clip'}
        </span>
      </span>
      <span class="row-state">
        <Chip said={statusSaid(status, percent)} label="Status" />
      </span>
      <span class="row-facts">
        {startedMs !== null && (
          <time class="row-fact when" dateTime={new Date(startedMs).toISOString()}>
            {moment(startedMs, now)}
          </time>
        )}
        <time class="row-fact" dateTime={isoLength(length_s)}>
          {stamp(length_s)}
        </time>
        <span class="row-fact">{bytes(sizeBytes)}</span>
        <span class="row-fact last">{visibilityWord(visibility)}</span>
      </span>
    </li>
  );
}
