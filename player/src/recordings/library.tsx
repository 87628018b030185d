/** `/recordings`: the public library. What is searched for stands in the address. */
import '../style.css';
import '../dashboard/tone.css';
import './recordings.css';
import { signal, useSignalEffect } from '@preact/signals';
import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import { arrive, search, turn } from '../address.ts';
import { Frame } from '../frame.tsx';
import { fetchLibrary } from './api.ts';
import { Finder } from './finder.tsx';
import { Listing } from './listing.ts';
import { More } from './more.tsx';
import { Picture } from './picture.tsx';
import { ANY, isNarrow, readWanted, SORTS, writeWanted, type Sort, type Wanted } from './query.ts';
import { lengthOf, pagePath, titleOf, type Recording } from './shape.ts';
import { isoLength, onDay, stamp } from './time.ts';

/** New recordings are few: this often is soon enough. */
const REFRESH_MS = 60_000;
/** Tags that are offered: the first ones met on the newest pages. */
const TAGS_MAX = 20;
/** Cards that stand in for those to come. */
const EMPTY_CARDS = 6;

const listing = new Listing(fetchLibrary);
/** Tags that were met since the page was opened, so that narrowing the list does not take them away. */
const tags = signal<readonly string[]>([]);

function Library() {
  const wanted = readWanted(search.value);
  const rows = listing.rows.value;
  const total = listing.total.value;
  useSignalEffect(() => void listing.want(readWanted(search.value)));
  useSignalEffect(() => {
    const met = new Set([...tags.peek(), ...(listing.rows.value ?? []).flatMap((recording) => recording.tags)]);
    tags.value = [...met].slice(0, TAGS_MAX);
  });
  useEffect(() => {
    addEventListener('popstate', arrive);
    const end = listing.begin(REFRESH_MS);
    return () => {
      removeEventListener('popstate', arrive);
      end();
    };
  }, []);
  const want = (part: Partial<Wanted>): void => turn(writeWanted({ ...wanted, ...part }));
  const isEmpty = rows?.length === 0 && !isNarrow(wanted);
  return (
    <Frame at="recordings">
      <h1 class="lead">Recordings</h1>
      {!isEmpty && <Narrowing wanted={wanted} want={want} />}
      <p class="count" role="status">
        {total !== null && !isEmpty && (total === 1 ? '1 recording' : `${total} recordings`)}
      </p>
      {listing.trouble.value !== null && (
        <p class="notice" role="status">
          {listing.trouble.value} Trying again by itself.
        </p>
      )}
      {rows === null && listing.trouble.value === null && <Waiting />}
      {isEmpty && <Empty />}
      {rows?.length === 0 && !isEmpty && <Unfound wanted={wanted} want={want} />}
      {rows && rows.length > 0 && (
        <div aria-busy={listing.busy.value}>
          <ul class="streams">
            {rows.map((recording) => (
              <li key={recording.id}>
                <Card recording={recording} />
              </li>
            ))}
          </ul>
          <More listing={listing} rows=".card" />
        </div>
      )}
    </Frame>
  );
}

function Narrowing({ wanted, want }: { wanted: Wanted; want: (part: Partial<Wanted>) => void }) {
  const offered = wanted.tag && !tags.value.includes(wanted.tag) ? [wanted.tag, ...tags.value] : tags.value;
  return (
    <>
      <div class="narrowing">
        <Finder text={wanted.q} onFind={(q) => want({ q })} />
        <label class="sorting">
          <span class="unseen">Order</span>
          <select value={wanted.sort} onChange={(event) => want({ sort: event.currentTarget.value as Sort })}>
            {SORTS.map(([sort, name]) => (
              <option key={sort} value={sort}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </div>
      {(offered.length > 0 || wanted.stream) && (
        <div class="tags" role="group" aria-label="Narrow down">
          {wanted.stream && (
            <button type="button" class="tag" aria-pressed="true" onClick={() => want({ stream: '' })}>
              Of {wanted.stream} <span aria-hidden="true">×</span>
            </button>
          )}
          {offered.map((tag) => (
            <button
              key={tag} type="button" class="tag" aria-pressed={tag === wanted.tag} onClick={() => want({ tag: tag === wanted.tag ? '' : tag })}
            >
              {tag} {tag === wanted.tag && <span aria-hidden="true">×</span>}
            </button>
          ))}
        </div>
      )}
    </>
  );
}

function Card({ recording }: { recording: Recording }) {
  const title = titleOf(recording);
  const { id, stream, startedMs } = recording;
  const length_s = lengthOf(recording, Date.now());
  return (
    <a class="card" href={pagePath(id)}>
      <span class="picture">
        <Picture recording={recording} />
        <time class="size" dateTime={isoLength(length_s)}>
          {stamp(length_s)}
        </time>
      </span>
      <span class="card-title">{title}</span>
      <span class="card-facts">
        {title !== stream && <span>{stream}</span>}
        {startedMs !== null && <time dateTime={new Date(startedMs).toISOString()}>{onDay(startedMs)}</time>}
      </span>
    </a>
  );
}

function Waiting() {
  return (
    <div role="status">
      <span class="unseen">The recordings are being loaded</span>
      <div class="streams" aria-hidden="true">
        {Array.from({ length: EMPTY_CARDS }, (_, i) => (
          <div key={i} class="card">
            <span class="picture breathing" />
            <span class="card-title">&nbsp;</span>
            <span class="card-facts">&nbsp;</span>
          </div>
        ))}
      </div>
    </div>
  );
}

function Empty() {
  return (
    <section class="nothing quiet">
      <h2>There are no recordings yet</h2>
      <p>
        Streams that are recorded and public appear here after they have ended. What is live now is on <a href="/">the first page</a>.
      </p>
    </section>
  );
}

function Unfound({ wanted, want }: { wanted: Wanted; want: (part: Partial<Wanted>) => void }) {
  return (
    <section class="nothing quiet">
      <h2>Nothing was found</h2>
      <p>
        {wanted.q ? 'No recording has these words in its title, its description or a tag' : 'No recording is of this kind'}
        {wanted.q && (wanted.tag || wanted.stream) && ', narrowed down as above'}.
      </p>
      <button type="button" class="more-button" onClick={() => want({ ...ANY, sort: wanted.sort })}>
        Show all recordings
      </button>
    </section>
  );
}

const root = document.getElementById('app');
if (root) render(<Library />, root);
