/**
 * A signer of the sandbox: a controller that answers the PodCertificateRequests of its signer name and publishes the
 * trust anchors of its authority.
 *
 * Its authority can be exchanged without breaking anyone, in three steps: the next root is published beside the old one
 * (`publishNextRoot`); once everyone trusts both, certificates come from the next one (`issueFromNext`); once no certificate
 * of the old one is left, its root is withdrawn (`withdrawOldRoots`).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Authority } from './authority.ts';
import type { Behaviour } from './behaviours.ts';
import { createGenerations } from './generations.ts';
import { createResponder } from './responder.ts';
import type { SignerApi, WriteUnchecked } from './signer-api.ts';

export interface SignerOptions {
  readonly signerName: string;
  readonly api: SignerApi;
  /** Absent: wrong answers go to the API server, which may refuse them. */
  readonly writeUnchecked?: WriteUnchecked | undefined;
  /** Default: the signer name's domain. */
  readonly trustDomain?: string | undefined;
  /**
   * A user annotation that names the path of the SPIFFE ID, as the signer of Kubernetes' own tests has it. Whoever may create a pod then
   * chooses its identity. Default: none.
   */
  readonly pathAnnotation?: string | undefined;
  /** Default: instant. */
  readonly behaviour?: Behaviour | undefined;
  /** As the certificates say it. Default: a day divided by `timeScale`. */
  readonly lifetimeSeconds?: number | undefined;
  /** Where in a certificate's life its refresh begins, between 0 and 1. Default: 0.5. */
  readonly refreshAtFraction?: number | undefined;
  /** The API server's: how much faster than real its minimums run. Default: 1. */
  readonly timeScale?: number | undefined;
  /** The wall clock, milliseconds since the epoch. Default: Date.now. */
  readonly now?: (() => number) | undefined;
  /** Told what the signer could not do. Default: nobody. */
  readonly onProblem?: ((message: string) => void) | undefined;
}

/** The steps of an exchange of authorities, as they are done. */
export type RotationStep = 'published' | 'switched' | 'withdrawn';

export interface RotationOptions {
  /** How long both roots are trusted before the next one signs. */
  readonly overlapMs: number;
  readonly signal?: AbortSignal;
  readonly onStep?: (step: RotationStep) => void;
}

export interface Signer {
  readonly signerName: string;
  readonly trustBundleName: string;
  /** Number of certificates signed. */
  issued(): number;
  /** The authority that certificates come from now. */
  authority(): Authority;
  /** From now on the signer behaves like this; requests that were left waiting are looked at again. */
  setBehaviour(behaviour: Behaviour): void;
  publishNextRoot(): Promise<void>;
  /** @throws Error when no next root has been published. */
  issueFromNext(): void;
  withdrawOldRoots(): Promise<void>;
  /** When the last certificate of an authority that signs no more runs out, milliseconds since the epoch; 0 for none. */
  oldCertificatesEnd(): number;
  /** All three steps; the old root stays trusted until its last certificate has expired. @throws when aborted. */
  rotateAuthority(options: RotationOptions): Promise<void>;
  close(): void;
}

const daySeconds = 86400;
const refreshMarginSeconds = 600;

/** Name of the trust bundle that a signer of the sandbox keeps: Kubernetes binds names to signers by this prefix. */
export function trustBundleName(signerName: string): string {
  return `${signerName.replaceAll('/', ':')}:anchors`;
}

/** Starts a signer: its trust bundle is published and its requests are followed once the promise resolves. */
export async function startSigner(options: SignerOptions): Promise<Signer> {
  const { signerName, api, now = Date.now, timeScale = 1 } = options;
  const domain = signerName.split('/', 1)[0] ?? signerName;
  const closing = new AbortController();
  const generations = await createGenerations(signerName, now);
  const responder = createResponder({
    api,
    writeUnchecked: options.writeUnchecked,
    generations,
    trustDomain: options.trustDomain ?? domain,
    pathAnnotation: options.pathAnnotation,
    lifetimes: {
      lifetimeSeconds: options.lifetimeSeconds ?? Math.ceil(daySeconds / timeScale),
      refreshAtFraction: options.refreshAtFraction ?? 0.5,
      refreshMarginSeconds: refreshMarginSeconds / timeScale,
    },
    behaviour: options.behaviour ?? { type: 'instant' },
    now,
    onProblem: options.onProblem ?? (() => {}),
  });

  const publishRoots = () =>
    api.applyTrustBundle({
      metadata: { name: trustBundleName(signerName), labels: { [`${domain}/anchors`]: 'live' } },
      spec: { signerName, trustBundle: generations.publishedRoots() },
    });
  const publishNextRoot = async () => {
    await generations.prepareNext();
    await publishRoots();
  };
  const withdrawOldRoots = async () => {
    generations.dropOld();
    await publishRoots();
  };

  await publishRoots();
  const unfollow = api.follow(signerName, responder);
  return {
    signerName,
    trustBundleName: trustBundleName(signerName),
    issued: responder.issued,
    authority: generations.current,
    setBehaviour: responder.setBehaviour,
    publishNextRoot,
    issueFromNext: generations.switchToNext,
    withdrawOldRoots,
    oldCertificatesEnd: generations.lastOldNotAfter,
    rotateAuthority: async ({ overlapMs, signal, onStep }) => {
      const either = signal === undefined ? closing.signal : AbortSignal.any([closing.signal, signal]);
      await publishNextRoot();
      onStep?.('published');
      await sleep(overlapMs, undefined, { signal: either });
      generations.switchToNext();
      onStep?.('switched');
      while (generations.lastOldNotAfter() > now()) {
        await sleep(generations.lastOldNotAfter() - now(), undefined, { signal: either });
      }
      await withdrawOldRoots();
      onStep?.('withdrawn');
    },
    close: () => {
      closing.abort();
      unfollow();
      responder.close();
    },
  };
}
