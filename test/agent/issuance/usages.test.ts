/** Usages by name, against the numbers of RFC 5280 and of the older programs that made up the rest. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { extendedKeyUsageIds, isUsage, keyUsageBits, usageNames } from '../../../agent/issuance/usages.ts';

test('each usage of a key has its bit, each once and in ascending order', () => {
  assert.deepEqual(
    keyUsageBits(['decipher only', 'signing', 'digital signature', 'key agreement', 'content commitment']),
    [0, 1, 4, 8],
  );
  assert.deepEqual(keyUsageBits(['encipher only', 'data encipherment', 'key encipherment']), [2, 3, 7]);
  assert.deepEqual(keyUsageBits(['server auth', 'any']), []);
});

test('each extended usage has its identifier, each once and in the order in which they are named', () => {
  const pkix = '1.3.6.1.5.5.7.3';
  const ids = {
    any: '2.5.29.37.0',
    'client auth': `${pkix}.2`,
    'server auth': `${pkix}.1`,
    'code signing': `${pkix}.3`,
    'email protection': `${pkix}.4`,
    'ipsec end system': `${pkix}.5`,
    'ipsec tunnel': `${pkix}.6`,
    'ipsec user': `${pkix}.7`,
    timestamping: `${pkix}.8`,
    'ocsp signing': `${pkix}.9`,
    'microsoft sgc': '1.3.6.1.4.1.311.10.3.3',
    'netscape sgc': '2.16.840.1.113730.4.1',
  } as const;
  assert.deepEqual(extendedKeyUsageIds(Object.keys(ids).filter(isUsage)), Object.values(ids));
  assert.deepEqual(extendedKeyUsageIds(['s/mime', 'email protection', 's/mime', 'signing']), [`${pkix}.4`]);
});

test('the usages of authorities, and what is no usage, are none', () => {
  for (const other of ['cert sign', 'crl sign', '', 'constructor', 'SIGNING', 7, undefined, ['signing']]) {
    assert.equal(isUsage(other), false, String(other));
  }
  assert.equal(usageNames.every(isUsage), true);
  assert.equal(usageNames.length, 21);
});
