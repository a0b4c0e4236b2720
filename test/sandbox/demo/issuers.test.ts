import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runDemo } from '../../../sandbox/demo/demo.ts';
import { demoIssuerNames } from '../../../sandbox/demo/issuers.ts';
import { keyTypes } from '../../../volumes/declaration/key-types.ts';
import { withinBound } from '../../support/bounded.ts';
import { makeDirectory } from '../../support/directory.ts';

/** How the names of requests end, by the API that they are made through. */
const endings = { certificateSigningRequest: '.csr', certManager: '.cr' } as const;

/** The demonstration gives up before. */
const longestMs = 300_000;

// The story by PodCertificateRequests ends `npm test`.
const others = demoIssuerNames.filter((name) => name !== 'podCertificateRequest');

for (const issuer of others) {
  test(`the demonstration tells its whole story through ${issuer}, and every certificate comes from there`, async (t) => {
    const directory = join(makeDirectory(t), 'demo');
    const written: string[] = [];
    const terminal = { write: (text: string) => written.push(text) };
    const options = { once: true, issuer, kubernetes: '1.36', lifetimeSeconds: 15, directory } as const;
    const stopping = new AbortController();
    t.after(() => stopping.abort());
    const told = runDemo({ ...options, keep: true, verbose: false }, terminal, stopping.signal);
    assert.equal(await withinBound(told, () => `the end of:\n${written.join('')}`, longestMs), 0, written.join(''));
    const story = written.join('');
    for (const keyType of keyTypes) {
      assert.match(story, new RegExp(` ${keyType} +\\d+ ms\n`), keyType);
    }
    assert.match(story, /\n[\d,]+ requests, 0 dropped\.\n/);
    const log = readFileSync(join(directory, 'agent.log'), 'utf8').trimEnd().split('\n');
    const requests: unknown[] = log.flatMap((line) => JSON.parse(line).request ?? []);
    assert.ok(requests.length >= keyTypes.length, `${requests.length} lines name a request`);
    const elsewhere = requests.filter((request) => !String(request).endsWith(endings[issuer]));
    assert.deepEqual(elsewhere, [], 'requests through another API');
  });
}
