/** The attributes of a volume, which any author of a pod may write. */
import assert from 'node:assert/strict';
import { describeFaults, parseDeclaration } from '../../../../volumes/declaration/sources.ts';
import { sourcePaths } from '../../../../volumes/files/layout.ts';
import { decodeRecord, encodeRecord } from '../../../../volumes/state/state-format.ts';
import type { FuzzTarget } from '../target.ts';

const volume = {
  ...{ volumeId: 'csi-1', targetPath: '/mount', volumeName: 'mtls' },
  pod: { namespace: 'shop', name: 'web', uid: 'uid', serviceAccountName: 'web' },
  owner: { kind: 'none' } as const,
};
/** Between `sources`, `defaultMode` and `defaultUser` of an input. */
const separator = '\0';
/** Twenty faults, each with a field's path and a text cut to a line. */
const longestDescription = 40_000;

export const declarations: FuzzTarget = {
  words: [
    ...['- podCertificate:', '- clusterTrustBundle:', 'signerName: ', 'keyType: ', 'ECDSAP256', 'ED25519', 'RSA3072'],
    ...[
      'credentialBundlePath: ',
      'keyPath: ',
      'certificateChainPath: ',
      'leafPath: ',
      'intermediatesPath: ',
      'caPath: ',
    ],
    ...[
      'maxExpirationSeconds: ',
      '3600',
      '7862400',
      'userAnnotations: ',
      'names: ',
      'dnsNames: ',
      'uris: ',
      'ipAddresses: ',
    ],
    ...[
      'commonName: ',
      'roots: drop',
      'expired: drop',
      'labelSelector: ',
      'matchLabels: ',
      'matchExpressions: ',
      'key: ',
    ],
    ...[
      'operator: In',
      'values: ',
      'optional: true',
      'path: ',
      'name: ',
      'mode: ',
      'user: ',
      '0440',
      '0o440',
      '1e3',
      '.inf',
    ],
    ...[
      'example.com/mesh',
      '..',
      '/',
      '..data',
      '\n',
      '\n    ',
      '\n  ',
      '{',
      '}',
      '[',
      ']',
      ', ',
      ': ',
      '"',
      "'",
      '|',
      '>-',
      '#',
    ],
    ...[
      '&a',
      '*a',
      '<<: ',
      '!!str',
      '? ',
      '---',
      '...',
      '%YAML 1.2',
      '~',
      'null',
      '\u202e',
      '\ufeff',
      '\u2028',
      separator,
    ],
  ],
  mostBytes: 4096,
  mostWorkPerByte: 3_000,
  run(input) {
    const [sources = '', defaultMode, defaultUser] = Buffer.from(input).toString('utf8').split(separator);
    const attributes = {
      sources,
      ...(defaultMode === undefined ? {} : { defaultMode }),
      ...(defaultUser === undefined ? {} : { defaultUser }),
    };
    const verdict = parseDeclaration(attributes);
    if (!verdict.ok) {
      assert.ok(verdict.faults.length > 0, 'it is refused for no reason');
      const description = describeFaults(verdict.faults);
      assert.ok(description.length <= longestDescription, `its faults take ${description.length} characters`);
      return;
    }
    const { declaration } = verdict;
    const paths = declaration.sources.flatMap(sourcePaths);
    assert.equal(new Set(paths).size, paths.length, 'two files have one path');
    for (const path of paths) {
      const parts = path.split('/');
      assert.ok(!parts.includes('..') && !parts.includes('') && !parts.includes('.'), 'a path leads elsewhere');
      assert.ok(!parts[0]?.startsWith('..'), "a path is one of the agent's own");
    }
    const stored = encodeRecord({ ...volume, declaration });
    assert.deepEqual(decodeRecord(stored).declaration, declaration, 'it is another one after a restart');
    assert.deepEqual(parseDeclaration(attributes), verdict, 'it is read in two ways');
  },
};
