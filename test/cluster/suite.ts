/**
 * The suite: what must hold on any cluster that the agent is to run on.
 */
import { after, before, describe } from 'node:test';
import { agreement } from './agreement.ts';
import { contentsAreTaken } from './contents.ts';
import { type Ground, prepareGround } from './ground.ts';
import { identities } from './identities.ts';
import { keysAreTaken } from './keys.ts';
import { type PodRun, podsRun } from './pods.ts';
import { watches } from './watches.ts';

export interface SuiteOptions {
  /** Path of a kubeconfig of an administrator, known once the suite begins. */
  readonly kubeconfig: () => string;
  /** Also runs pods, on a node with a kubelet and the agent. */
  readonly withAgent?: PodRun | undefined;
  /** Makes the server forget what happened so far, where that can be had. */
  readonly compact?: (() => void) | undefined;
  /** Told how to take everything away at once, should the process be stopped in the middle. */
  readonly onGround?: (clear: () => Promise<void>) => void;
}

export function clusterSuite({ kubeconfig, onGround, withAgent, compact }: SuiteOptions): void {
  describe('A cluster for the agent', () => {
    let ground: Ground | undefined;
    const standing = (): Ground => {
      if (ground === undefined) {
        throw new Error('the cluster could not be prepared for the suite');
      }
      return ground;
    };
    before(async () => {
      ground = await prepareGround(kubeconfig(), onGround);
    });
    after(() => ground?.clear());
    keysAreTaken(standing);
    contentsAreTaken(standing);
    identities(standing);
    watches(standing, compact);
    agreement(standing);
    podsRun(standing, withAgent);
  });
}
