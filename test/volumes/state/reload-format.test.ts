/** What comes after a change of files, as a volume's record holds it: what names no port, path or process of the pod is not believed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeProbe, decodeReload } from '../../../volumes/state/reload-format.ts';

const http = { port: 8080, path: '/-/reload', method: 'POST', scheme: 'http' };
const signal = { process: 'nginx', signal: 'SIGHUP' };

test('each way of telling a pod is read as it was stored, alone and with the others', () => {
  for (const stored of [
    { touch: 'generation' },
    { http },
    { http: { port: 65_535, path: '/', method: 'PUT', scheme: 'https' } },
    { signal },
    { signal: { process: 'a', signal: 'SIGUSR2' } },
    { touch: '.generation', http, signal },
    {},
  ]) {
    assert.deepEqual(decodeReload(stored), stored);
  }
  for (const stored of [{ port: 1 }, { port: 8443, serverName: 'web.shop.svc' }]) {
    assert.deepEqual(decodeProbe(stored), stored);
  }
});

test('what a record asks of root is checked again, each field by the rule that the pod had to obey', () => {
  const touched = 'reload.touch is not a name in the volume';
  for (const [stored, message] of [
    [{ touch: 7 }, touched],
    [{ touch: null }, touched],
    [{ touch: '../x' }, touched],
    [{ touch: 'a/b' }, touched],
    [{ touch: '/etc/passwd' }, touched],
    [{ touch: '..agent' }, touched],
    [{ touch: '' }, touched],
    [{ http: 7 }, 'http is not an object'],
    [{ http: { ...http, path: 'http://example.com/' } }, 'reload.http.path is not a path'],
    [{ http: { ...http, path: '/ HTTP/1.1\r\nHost: b' } }, 'reload.http.path is not a path'],
    [{ http: { ...http, path: 7 } }, 'path is not a string'],
    [{ http: { ...http, path: `/${'a'.repeat(1024)}` } }, 'path is longer than 1024 characters'],
    [{ http: { ...http, port: 0 } }, 'port is not a port'],
    [{ http: { ...http, port: 65_536 } }, 'port is not a port'],
    [{ http: { ...http, port: '80' } }, 'port is not a number'],
    [{ http: { ...http, method: 'DELETE' } }, 'method is none of POST, GET, PUT'],
    [{ http: { ...http, scheme: 'file' } }, 'scheme is none of http, https'],
    [{ signal: [] }, 'signal is not an object'],
    [{ signal: { ...signal, process: '/run/nginx.pid' } }, "reload.signal.process is no process' name"],
    [{ signal: { ...signal, process: 1 } }, 'process is not a string'],
    [{ signal: { ...signal, process: 'a'.repeat(16) } }, 'process is longer than 15 characters'],
    [{ signal: { ...signal, signal: 'SIGKILL' } }, 'signal is none of SIGHUP, SIGUSR1, SIGUSR2'],
  ] as const) {
    assert.throws(() => decodeReload(stored), { name: 'TypeError', message });
  }
  for (const [stored, message] of [
    [{}, 'port is not a number'],
    [{ port: 0 }, 'port is not a port'],
    [{ port: 1.5 }, 'port is not a numeric id'],
    [{ port: 1, serverName: '192.0.2.1' }, 'probe.serverName is not a name'],
    [{ port: 1, serverName: 'a b' }, 'probe.serverName is not a name'],
    [{ port: 1, serverName: 7 }, 'serverName is not a string'],
    [{ port: 1, serverName: 'a'.repeat(254) }, 'serverName is longer than 253 characters'],
  ] as const) {
    assert.throws(() => decodeProbe(stored), { name: 'TypeError', message });
  }
});
