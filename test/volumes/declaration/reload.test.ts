/** What a pod may say about being told of new files: what is accepted, and that every fault is named by its path. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { maxAttributeBytes } from '../../../volumes/declaration/limits.ts';
import { parseDeclaration } from '../../../volumes/declaration/sources.ts';

const sources = '[{ clusterTrustBundle: { name: roots, path: trust/anchors.pem } }]';

function faultsOf(attributes: Record<string, string>): readonly string[] {
  const parsed = parseDeclaration({ sources, ...attributes });
  return parsed.ok ? [] : parsed.faults.map((fault) => `${fault.field}: ${fault.message}`);
}

test('a file to touch is read, and a volume without one says nothing of it', () => {
  const parsed = parseDeclaration({ sources, reload: 'touch: ./generation' });
  assert.ok(parsed.ok, inspect(parsed));
  assert.deepEqual(parsed.declaration.reload, { touch: 'generation' });
  const without = parseDeclaration({ sources });
  assert.ok(without.ok && !('reload' in without.declaration), inspect(without));
});

test('a file to touch can lie nowhere but at the top of the volume, and not where another file is', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['touch: "a/b"', /^reload\.touch: must be a name without "\/", not "a\/b"/],
    ['touch: /etc/passwd', /^reload\.touch: must be relative to the volume/],
    ['touch: ../x', /^reload\.touch: must not hold "\.\."/],
    ['touch: ..agent', /^reload\.touch: must not start with "\.\."/],
    ['touch: "a\\nb"', /^reload\.touch: must not hold control characters/],
    ['touch: 5', /^reload\.touch: must be a string: put "5" in quotes/],
    ['touch: trust', /needs a directory "trust", which reload\.touch writes as a file/],
  ];
  for (const [reload, expected] of cases) {
    const [fault = '', ...more] = faultsOf({ reload });
    assert.match(fault, expected, reload);
    assert.deepEqual(more, [], reload);
  }
  const same = faultsOf({ sources: sources.replace('trust/', ''), reload: 'touch: anchors.pem' });
  assert.match(same.join(), /path: "anchors\.pem" is written by reload\.touch already/);
});

test('a request to the pod is read with its defaults', () => {
  const whole = { port: 9090, path: '/-/reload?all=1', method: 'GET', scheme: 'https' };
  for (const [reload, http] of [
    [
      { port: 8080, path: '/' },
      { port: 8080, path: '/', method: 'POST', scheme: 'http' },
    ],
    [whole, whole],
  ] as const) {
    const parsed = parseDeclaration({ sources, reload: JSON.stringify({ http: reload }) });
    assert.ok(parsed.ok, inspect(parsed));
    assert.deepEqual(parsed.declaration.reload, { http });
  }
});

test('no request can name another host, another header or what is no port', () => {
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ port: 1, path: '/', host: 'example.com' }, /^reload\.http\.host: unknown field/],
    [{ port: 1, path: 'http://example.com/' }, /^reload\.http\.path: must be a path like/],
    [{ port: 1, path: '@example.com/' }, /^reload\.http\.path: must be a path like/],
    [{ port: 1, path: '/ HTTP/1.1\r\nHost: b' }, /^reload\.http\.path: must be a path like/],
    [{ port: 1, path: '/ä' }, /^reload\.http\.path: must be a path like/],
    [{ port: 1, path: `/${'a'.repeat(1024)}` }, /^reload\.http\.path: must be a path like/],
    [{ port: 1 }, /^reload\.http\.path: must be a path like/],
    [{ path: '/' }, /^reload\.http\.port: must be a port of the pod/],
    [{ port: 0, path: '/' }, /^reload\.http\.port: must be a port of the pod/],
    [{ port: 65536, path: '/' }, /^reload\.http\.port: must be a port of the pod/],
    [{ port: '80', path: '/' }, /^reload\.http\.port: must be a whole number/],
    [{ port: 1, path: '/', method: 'DELETE' }, /^reload\.http\.method: must be one of POST, GET, PUT, not "DELETE"/],
    [{ port: 1, path: '/', scheme: 'file' }, /^reload\.http\.scheme: must be one of http, https, not "file"/],
  ];
  for (const [http, expected] of cases) {
    const [fault = '', ...more] = faultsOf({ reload: JSON.stringify({ http }) });
    assert.match(fault, expected, inspect(http));
    assert.deepEqual(more, [], inspect(http));
  }
});

test('a signal is for a process by its name, and none ends one', () => {
  const named = parseDeclaration({ sources, reload: '{ signal: { process: nginx } }' });
  assert.ok(named.ok, inspect(named));
  assert.deepEqual(named.declaration.reload, { signal: { process: 'nginx', signal: 'SIGHUP' } });
  const cases: readonly (readonly [object, RegExp])[] = [
    [{}, /^reload\.signal\.process: must be a process' name/],
    [{ process: '/run/nginx.pid' }, /^reload\.signal\.process: must be a process' name/],
    [{ process: '' }, /^reload\.signal\.process: must be a process' name/],
    [{ process: 'a b' }, /^reload\.signal\.process: must be a process' name/],
    [{ process: 'a'.repeat(16) }, /^reload\.signal\.process: must be .* at most 15/],
    [{ process: 4711 }, /^reload\.signal\.process: must be a string/],
    [
      { process: 'a', signal: 'SIGKILL' },
      /^reload\.signal\.signal: must be one of SIGHUP, SIGUSR1, SIGUSR2, not "SIGKILL"/,
    ],
    [{ process: 'a', pod: 'b' }, /^reload\.signal\.pod: unknown field/],
  ];
  for (const [signal, expected] of cases) {
    assert.match(faultsOf({ reload: JSON.stringify({ signal }) })[0] ?? '', expected, inspect(signal));
  }
});

const certificate = `[{ podCertificate: { signerName: example.com/mesh, keyType: ED25519, credentialBundlePath: tls.pem } }]`;

test('a probe names a port and perhaps a server, and nothing else', () => {
  const withAnchors = certificate.replace(/\]$/, ', { clusterTrustBundle: { name: roots, path: ca.pem } }]');
  for (const probe of [
    { port: 8443 },
    { port: 65_535, serverName: 'web.shop.svc' },
    { port: 1, serverName: '1st.shop2' },
  ]) {
    const parsed = parseDeclaration({ sources: withAnchors, probe: JSON.stringify(probe) });
    assert.ok(parsed.ok, inspect(parsed));
    assert.deepEqual(parsed.declaration.probe, probe);
  }
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ port: 1, host: 'example.com' }, /^probe\.host: unknown field/],
    [{ port: 70000 }, /^probe\.port: must be a port of the pod/],
    [{ serverName: 'web' }, /^probe\.port: must be a port of the pod/],
    [{ port: 1, serverName: '192.0.2.1' }, /^probe\.serverName: must be a DNS name/],
    [{ port: 1, serverName: '1.2' }, /^probe\.serverName: must be a DNS name/],
    [{ port: 1, serverName: 5 }, /^probe\.serverName: must be a string: put "5" in quotes$/],
    [{ port: 1, serverName: 'a\r\nb' }, /^probe\.serverName: must be a DNS name/],
    [{ port: 1, serverName: 'a'.repeat(254) }, /^probe\.serverName: must be a DNS name/],
  ];
  for (const [probe, expected] of cases) {
    const [fault = '', ...more] = faultsOf({ sources: certificate, probe: JSON.stringify(probe) });
    assert.match(fault, expected, inspect(probe));
    assert.deepEqual(more, [], inspect(probe));
  }
});

test('a probe needs a certificate to compare with', () => {
  assert.deepEqual(faultsOf({ probe: 'port: 8443' }), [
    'probe: needs a podCertificate source in the volume, whose certificate is served',
  ]);
});

test('a reload that says nothing, is no mapping, too long or no YAML is refused', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['{}', /^reload: needs at least one of touch, http, signal$/],
    ['', /^reload: must be a mapping/],
    ['[touch]', /^reload: must be a mapping/],
    ['touch: { a: b }\nhost: example.com', /^reload\.host: unknown field "host"/],
    ['&a touch: *a', /^reload: must not use YAML/],
    [`touch: ${'a'.repeat(maxAttributeBytes)}`, /^reload: must be at most 4096 bytes/],
  ];
  for (const [reload, expected] of cases) {
    assert.match(faultsOf({ reload }).join('\n'), expected, reload.slice(0, 50));
  }
});
