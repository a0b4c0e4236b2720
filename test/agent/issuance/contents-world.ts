/** An issuer of requests with contents over a server and a live copy that show what a test puts into them, and what it did. */
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { AgentError } from '../../../agent/base/errors.ts';
import { certificateRequests } from '../../../agent/issuance/cert-manager.ts';
import { createClaims } from '../../../agent/issuance/claims.ts';
import { createContentsIssuer } from '../../../agent/issuance/contents-request.ts';
import { issuerFor, readIssuerRules } from '../../../agent/issuance/issuer-rules.ts';
import type { RequestEvent } from '../../../agent/issuance/request-calls.ts';
import type { CertificateRequest } from '../../../agent/kubernetes/objects.ts';
import type { CertificateOrder, Hurdle, Outcome } from '../../../agent/lifecycle/ports.ts';
import { createManualClock } from '../../support/manual-clock.ts';

export const signerName = 'clusterissuers.cert-manager.io/ca';
export const requestName = `mtls-0-${'a'.repeat(40)}.cr`;
export const name = `shop/${requestName}`;
export const reference = { namespace: 'shop', requestName, signerName };
export const order: CertificateOrder = {
  requestName,
  identity: {
    pod: { namespace: 'shop', name: 'web', uid: 'u1', serviceAccountName: 'web' },
    ...{ serviceAccountUID: 's', nodeName: 'node-a', nodeUID: 'n', ended: false },
  },
  ...{ signerName, userAnnotations: {}, priority: 'first' },
};

export function choiceBy(...rules: readonly object[]) {
  const reading = readIssuerRules(rules);
  assert.ok(reading.ok, inspect(reading));
  return (namespace: string, signer: string) => issuerFor(reading.value, namespace, signer);
}

interface Options {
  readonly choice?: ReturnType<typeof choiceBy>;
  /** The number of the list that was taken over last. */
  readonly taken?: number;
  readonly hasEvents?: boolean;
  /** What is wrong with each request that is to be made. */
  readonly fault?: AgentError;
  /** Whether somebody removes each request before the agent hears that it was made. */
  readonly isRemoved?: boolean;
}

export function openWorld({
  choice = choiceBy(),
  taken = 1,
  hasEvents = true,
  fault,
  isRemoved = false,
}: Options = {}) {
  const [server, copy] = [new Map<string, CertificateRequest>(), new Map<string, CertificateRequest>()];
  const listeners = new Set<(event: RequestEvent<CertificateRequest>) => void>();
  const claims = createClaims<CertificateRequest>(certificateRequests.outline);
  const clock = createManualClock();
  const done: string[] = [];
  const calls: object[] = [];
  const unused = (): never => assert.fail('nobody asks for that');
  const read = async (namespace: string, asked: string): Promise<string> => {
    done.push(`events ${namespace}/${asked}`);
    return 'no policy';
  };
  const issuer = createContentsIssuer({
    kind: certificateRequests,
    calls: {
      async create(body, call) {
        calls.push(call);
        if (fault !== undefined) {
          throw fault;
        }
        if (server.has(`shop/${body.metadata.name}`)) {
          throw new AgentError('Conflict', 'exists', { actor: 'nobody' });
        }
        server.set(`shop/${body.metadata.name}`, body);
        if (isRemoved) {
          tell({ type: 'deleted', object: body });
        }
      },
      async get(namespace, asked, call) {
        done.push(`get ${namespace}/${asked} ${call.priority}`);
        return server.get(`${namespace}/${asked}`) ?? assert.fail('only what exists is asked for');
      },
      async remove(namespace, asked) {
        done.push(`remove ${namespace}/${asked}`);
      },
    },
    cache: {
      get: (asked) => copy.get(asked),
      list: () => [...copy.values()],
      lists: () => ({ begun: taken, taken }),
      subscribe(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    ...(hasEvents && { events: { clock, read } }),
    ...{ claims, nodeName: 'node-a', trustDomain: () => 'mesh.example', choice },
    tokens: { ready: unused, bearer: unused },
    onFault: (error) => assert.fail(error),
  });
  const tell = (event: RequestEvent<CertificateRequest>): void => {
    for (const listener of [...listeners]) {
      listener(event);
    }
  };
  const answer = (status: CertificateRequest['status']): void => {
    const object = { ...(server.get(name) ?? assert.fail('it was made')), ...(status && { status }) };
    server.set(name, object);
    copy.set(name, object);
    tell({ type: 'modified', object });
  };
  const outcomes: Outcome[] = [];
  const hurdles: Hurdle[] = [];
  const follow = () =>
    issuer.follow(
      reference,
      (outcome) => outcomes.push(outcome),
      (hurdle) => hurdles.push(hurdle),
    );
  return { issuer, server, copy, claims, clock, done, calls, answer, follow, outcomes, hurdles };
}
