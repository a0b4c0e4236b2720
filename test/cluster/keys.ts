/**
 * Keys: the API server takes a request with each type of key, made by the agent, in each version that it serves; and what
 * a signer answers passes the agent's checks.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { keyTypes } from '../../volumes/declaration/key-types.ts';
import { users } from '../sandbox/rules/cases/objects.ts';
import { startAgentParts } from './agent-parts.ts';
import type { Ground } from './ground.ts';

export function keysAreTaken(ground: () => Ground): void {
  describe('Requests of the agent are taken and answered', () => {
    for (const [version, evidence] of [
      ['v1', 'stub'],
      ['v1beta1', 'stub'],
      ['v1beta1', 'keyAndProof'],
      ['v1alpha1', 'keyAndProof'],
    ] as const) {
      test(`as ${version} with ${evidence}`, async (t) => {
        const { access, names, nodeName, offers, signer, web } = ground();
        const apiVersion = `certificates.k8s.io/${version}`;
        const api = offers.requestApis.find((each) => each.apiVersion === apiVersion && each.evidence === evidence);
        if (api === undefined) {
          return t.skip(`the server, Kubernetes ${offers.gitVersion}, does not take them`);
        }
        const { signerName } = await signer();
        const caller = access.as(names.user(users['node-a']));
        const parts = startAgentParts({ access, caller, nodeName, api });
        t.after(parts.stop);
        const identity = await parts.identify(web);
        for (const keyType of keyTypes) {
          await t.test(`${keyType} keys`, async () => {
            const asked = await parts.ask({ identity, signerName, keyType });
            assert.equal(asked.outcome.type, 'issued');
            asked.verify();
          });
        }
      });
    }
  });
}
