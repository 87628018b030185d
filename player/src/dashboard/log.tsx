/** What happened to the stream, newest first. */
import type { Room } from './room.ts';
import { Skeleton } from './shell.tsx';
import { moment } from './time.ts';
import { ToneMark } from './tone.tsx';

const TONES = { info: 'idle', warning: 'warning', bad: 'bad' } as const;

export function Log({ room }: { room: Room }) {
  const rows = room.log.value;
  return (
    <section aria-labelledby="log-title">
      <h2 id="log-title" class="small-head">
        Session log
      </h2>
      {!rows && <Skeleton lines={3} label="The log is being loaded" />}
      {rows?.length === 0 && <p class="hint">Nothing has happened yet.</p>}
      {rows && rows.length > 0 && (
        <div class="log" tabIndex={0} role="group" aria-label="Rows of the log">
          <ol>
            {[...rows].reverse().map(({ seq, atMs, kind, message }) => (
              <li key={`${seq} ${atMs} ${message}`} class={kind}>
                <time dateTime={new Date(atMs).toISOString()}>{moment(atMs, room.nowMs.value)}</time>
                <ToneMark tone={TONES[kind]} />
                <span>
                  {kind !== 'info' && <span class="unseen">{kind}: </span>}
                  {message}
                </span>
              </li>
            ))}
          </ol>
        </div>
      )}
    </section>
  );
}
