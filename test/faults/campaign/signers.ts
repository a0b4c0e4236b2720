/**
 * Signers that behave as they are told, through whichever certificate API they are asked. Their answers go into the API server's store
 * past all of its rules: what arrives at the agent is whatever a broken signer, or a broken server, lets through.
 */
import type { CertificateApi } from '../../../agent/issuance/issuer-rules.ts';
import type { ApiObject, JsonObject } from '../../../sandbox/base/objects.ts';
import type { Store } from '../../../sandbox/storage/store.ts';
import { goodChain, makeSignatory, type WrongChain, wrongChains } from './chains.ts';
import { requestForms } from './requests.ts';

/** What a signer does with a request, and with those that it has left alone. */
export type Conduct =
  | { readonly does: 'issue'; readonly afterMs?: number }
  | { readonly does: 'nothing' | 'deny' | 'fail' }
  | { readonly does: 'issue a chain'; readonly which: WrongChain }
  /** Somebody removes each request as soon as it is there, or has been answered. */
  | { readonly does: 'lose requests'; readonly when: 'asked' | 'answered' };

export interface PlayedSigner {
  readonly signerName: string;
  readonly api: CertificateApi;
  conduct(conduct: Conduct): void;
  close(): void;
}

export interface PlayedSignerOptions {
  readonly store: Store;
  readonly api: CertificateApi;
  /** The part of the signer's name behind the slash. */
  readonly name: string;
  readonly lifetimeMs: number;
  /** Part of the lifetime after which certificates are renewed. */
  readonly refreshAfter: number;
}

/** The rule by which an agent asks such a signer. */
export function ruleFor(api: CertificateApi, name: string, refreshAfter: number): readonly object[] {
  if (api === 'podCertificateRequest') {
    return [];
  }
  const issuer = api === 'certManager' ? { issuer: { name, kind: 'ClusterIssuer' } } : {};
  return [{ signers: [`${requestForms[api].domain}/${name}`], [api]: { ...issuer, refreshAfter } }];
}

export async function startPlayedSigner(options: PlayedSignerOptions): Promise<PlayedSigner> {
  const { store, api, name, lifetimeMs, refreshAfter } = options;
  const form = requestForms[api];
  const signatory = await makeSignatory(name);
  /** Requests without an answer, by UID. */
  const waiting = new Map<string, ApiObject>();
  const timers = new Set<NodeJS.Timeout>();
  let conduct: Conduct = { does: 'issue' };

  function later(uid: string, ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      timers.delete(timer);
      if (waiting.has(uid)) {
        act();
      }
    }, ms);
    timers.add(timer);
  }

  function answer(uid: string, status: JsonObject): void {
    const request = waiting.get(uid);
    if (request !== undefined) {
      waiting.delete(uid);
      store.update(form.storedAs, { ...request, status });
    }
  }

  function remove({ metadata }: ApiObject): void {
    store.remove(form.storedAs, metadata.namespace ?? '', metadata.name ?? '');
  }

  async function issue(uid: string, request: ApiObject, which?: WrongChain): Promise<void> {
    const notBefore = Math.floor(Date.now() / 1000) * 1000 - 1000;
    const times = { notBefore, notAfter: notBefore + lifetimeMs };
    const asked = { ...signatory, spki: form.keyOf(request), times };
    const chain = await (which === undefined ? goodChain(asked) : wrongChains[which](asked));
    answer(uid, form.issued(chain, { ...times, beginRefreshAt: notBefore + lifetimeMs * refreshAfter }));
  }

  function consider(uid: string, request: ApiObject): void {
    switch (conduct.does) {
      case 'issue':
        later(uid, conduct.afterMs ?? 0, () => void issue(uid, request));
        break;
      case 'issue a chain':
        void issue(uid, request, conduct.which);
        break;
      case 'deny':
        answer(uid, form.denied());
        break;
      case 'fail':
        answer(uid, form.failed());
        break;
      case 'lose requests':
        void (conduct.when === 'answered' ? issue(uid, request) : Promise.resolve()).then(() => remove(request));
        break;
      case 'nothing':
        break;
      default:
        conduct satisfies never;
    }
  }

  const unsubscribe = store.subscribe(({ type, resource, object }) => {
    if (resource !== form.storedAs || form.signerOf(object) !== name) {
      return;
    }
    const uid = object.metadata.uid ?? '';
    if (type === 'DELETED') {
      waiting.delete(uid);
    } else if (type === 'ADDED') {
      waiting.set(uid, object);
      // Whoever has made it has its reply first.
      later(uid, 0, () => consider(uid, object));
    }
  });

  return {
    signerName: `${form.domain}/${name}`,
    api,
    conduct(changed) {
      conduct = changed;
      for (const [uid, request] of waiting) {
        consider(uid, request);
      }
    },
    close() {
      unsubscribe();
      for (const timer of timers) {
        clearTimeout(timer);
      }
    },
  };
}
