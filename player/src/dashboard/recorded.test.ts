import { expect, it } from 'vitest';
import { decodeRecorded } from './recorded.ts';

it('a_stream_tells_its_rule_and_what_runs', () => {
  const stream = { name: 'demo', record: 'request', recording: { id: 'a', status: 'recording', started_ms: 5 } };
  expect(decodeRecorded(stream)).toMatchObject({ rule: 'request', running: { id: 'a', status: 'recording', startedMs: 5 } });
  expect(decodeRecorded({ record: 'never', recording: null })).toEqual({ rule: 'never', running: null });
});

it('a_server_that_records_nothing_tells_none', () => {
  for (const body of [{ name: 'demo' }, { record: 'sometimes' }, null, 'x']) expect(decodeRecorded(body)).toBeNull();
});
