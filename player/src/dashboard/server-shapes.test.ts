import { expect, it } from 'vitest';
import { decodeAudit, decodeServer, decodeSession } from './server-shapes.ts';

it('a_session_is_signed_in_only_when_the_server_says_so', () => {
  const https = 'https://host:8443';
  expect(decodeSession({ signed_in: true, secure: false, https })).toEqual({ signedIn: true, secure: false, https });
  expect(decodeSession({ signed_in: 'yes' })).toEqual({ signedIn: false, secure: true, https: null });
});

it('only_an_https_address_becomes_a_link', () => {
  for (const https of ['javascript:alert(1)', 'http://host', '//host', 5]) expect(decodeSession({ https }).https).toBeNull();
});

it('reads_a_server', () => {
  const server = decodeServer({
    version: '1', cpu: { cores: 2, used: 0 }, memory: { used_bytes: 1, total_bytes: 3, available_bytes: 2 },
    budget: { cores: 2, planned: 1.5, free: 0.5 },
    disk: { path: '/data', free_bytes: 4, total_bytes: 5 }, ingest: { rtmp: null, rtmps: 'rtmps://h/live' }, data_dir: '/data',
    warnings: [{ code: 'disk', message: 'Little is free.' }, { code: 'mute' }],
  });
  expect(server.cpu).toEqual({ cores: 2, used: 0 });
  expect([server.memory.availableBytes, server.budget.free, server.disk.path]).toEqual([2, 0.5, '/data']);
  expect([server.rtmp, server.rtmps]).toEqual([null, 'rtmps://h/live']);
  expect(server.warnings).toEqual([{ code: 'disk', message: 'Little is free.' }]);
});

it('an_empty_answer_leaves_everything_unknown', () => {
  const server = decodeServer(null);
  expect([server.cpu.used, server.memory.totalBytes, server.rtmp, server.version, server.warnings]).toEqual([null, null, null, null, []]);
});

it('a_change_has_a_number_and_its_details_whatever_they_are', () => {
  const made = { seq: 4, at_ms: 1, actor: 'cli', act: 'key.rotate', target: 'demo', detail: { key: 'abc', n: 5, off: null } };
  const [row, ...none] = decodeAudit({ rows: [made, { act: 'no number' }] });
  expect(none).toEqual([]);
  expect(row?.detail).toEqual({ key: 'abc', n: 5, off: null });
  expect(decodeAudit({ rows: [{ seq: 1, detail: 'odd' }] })[0]?.detail).toEqual({});
});
