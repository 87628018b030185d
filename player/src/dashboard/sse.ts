/**
 * Server-Sent Events out of a stream of text (WHATWG HTML, section 9.2.6), for `fetch`: EventSource can send no header.
 * Pure: takes text as it comes, cut anywhere, and gives the events that became whole.
 */

export interface ServerEvent {
  readonly name: string;
  readonly data: string;
}

/** An event longer than this is none of ours: what was kept of it is thrown away. */
const LENGTH_MAX = 1_000_000;

export class EventParser {
  #rest = '';
  #name = '';
  #data: string[] = [];
  #length = 0;

  push(chunk: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    this.#rest += chunk;
    // A CR at the very end may be half of a CRLF: it waits for the next chunk.
    let cut: RegExpExecArray | null;
    while ((cut = /\r\n|\n|\r(?!$)/.exec(this.#rest))) {
      const line = this.#rest.slice(0, cut.index);
      this.#rest = this.#rest.slice(cut.index + cut[0].length);
      this.#line(line, events);
    }
    if (this.#rest.length > LENGTH_MAX) this.#rest = '';
    return events;
  }

  #line(line: string, events: ServerEvent[]): void {
    if (line === '') {
      if (this.#data.length) events.push({ name: this.#name || 'message', data: this.#data.join('\n') });
      this.#name = '';
      this.#data = [];
      this.#length = 0;
      return;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.#name = value;
    else if (field === 'data' && (this.#length += value.length) <= LENGTH_MAX) this.#data.push(value);
  }
}
