/** Whether a stream is recorded, as its settings and its answer say. Pure. */
import { field, word } from '../decode.ts';
import { decodeRecording, type Recording } from '../recordings/shape.ts';

export type RecordRule = 'always' | 'request' | 'never';

export interface Recorded {
  readonly rule: RecordRule;
  /** The recording that runs now; null when none does. */
  readonly running: Recording | null;
}

/** What a stream's answer says of it; null from a server that records nothing. */
export function decodeRecorded(stream: unknown): Recorded | null {
  const rule = word(field(stream, 'record'), ['always', 'request', 'never'], null);
  return rule && { rule, running: decodeRecording(field(stream, 'recording')) };
}

/** What a rule means, in a sentence. */
export function ruleMeans(rule: RecordRule): string {
  switch (rule) {
    case 'always':
      return 'Each session is recorded from its start.';
    case 'request':
      return 'Only what you start here is recorded.';
    case 'never':
      return 'Nothing of this stream is kept.';
  }
}
