/** When the chain of a credential is compared with the anchors beside it, and with which; what comes of it is in trust-mismatch.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LeadsToAnchor } from '../../../agent/lifecycle/ports.ts';
import { createTrustCheck, type TrustCheck } from '../../../agent/lifecycle/trust-check.ts';
import type { ClusterTrustBundleSource, Source } from '../../../volumes/declaration/types.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { minute, podCertificate, recordWith, trustBundle } from './plain.ts';

/** What was compared: the chain, the anchors, and how far after now. */
type Compared = readonly [chain: string, anchors: readonly string[], afterMs: number];

interface Scene {
  readonly check: TrustCheck;
  readonly compared: Compared[];
  readonly verdicts: (readonly [index: number, verdict: string, anchors: number])[];
  readonly faults: (readonly [index: number, fault: unknown])[];
  /** Looks that wait for their turn. */
  readonly turns: (() => void)[];
  /** Whether a chain leads to its anchors. */
  leads: LeadsToAnchor;
  /** The chain in the files of each source. */
  chainOf: (index: number) => readonly Uint8Array[] | undefined;
  /** The anchors that came with it. */
  issuedOf: (index: number) => readonly Uint8Array[] | undefined;
  runTurns(): void;
}

function bundleNamed(index: number, name: string): ClusterTrustBundleSource {
  return { kind: 'clusterTrustBundle', index, select: { by: 'name', name }, optional: false, path: `${index}.pem` };
}

function der(...names: readonly string[]): readonly Uint8Array[] {
  return names.map((name) => Buffer.from(name));
}

function createScene(sources: readonly Source[]): Scene {
  const clock = createManualClock(1_000_000);
  const scene: Omit<Scene, 'check'> = {
    compared: [],
    verdicts: [],
    faults: [],
    turns: [],
    leads: () => true,
    chainOf: (index) => der(`chain ${index}`),
    issuedOf: () => undefined,
    runTurns() {
      for (const turn of scene.turns.splice(0)) {
        turn();
      }
    },
  };
  const check = createTrustCheck(
    {
      record: recordWith(sources),
      currentChain: (index) => scene.chainOf(index),
      currentAnchors: (index) => scene.issuedOf(index),
    },
    {
      clock,
      leadsToAnchor(chain, anchors, now) {
        const [first, ...others] = [chain, anchors].map((list) => list.map((one) => Buffer.from(one).toString()));
        scene.compared.push([String(first), others.flat(), now - clock.now()]);
        return scene.leads(chain, anchors, now);
      },
      oneATurn: (work) => scene.turns.push(work),
      onVerdict: (...verdict) => scene.verdicts.push(verdict),
      onFault: (...fault) => scene.faults.push(fault),
    },
  );
  return Object.assign(scene, { check });
}

const one = [podCertificate(0, 'tls.pem'), trustBundle(1, 'ca.pem')];

test('a chain is compared in a turn of its own, once for all that came before it, with what is new', () => {
  const { check, compared, verdicts, turns, runTurns } = createScene(one);
  check.anchorsWritten(1, der('old'));
  check.anchorsWritten(1, der('new'));
  check.chainWritten(0);
  assert.deepEqual([turns.length, compared], [1, []]);
  runTurns();
  assert.deepEqual(compared, [['chain 0', ['new'], 0]]);
  assert.deepEqual(verdicts, [[0, 'leads', 1]]);
  check.chainWritten(0);
  runTurns();
  assert.equal(compared.length, 2, 'what comes later is looked at anew');
});

test('a chain that leads nowhere now is looked at once more as of five minutes later, in another turn', () => {
  const scene = createScene(one);
  scene.leads = () => false;
  scene.check.anchorsWritten(1, der('new'));
  scene.runTurns();
  assert.deepEqual([scene.verdicts, scene.turns.length], [[], 1], 'nothing is said after the first look');
  scene.runTurns();
  assert.deepEqual(
    scene.compared.map(([, , afterMs]) => afterMs),
    [0, 5 * minute],
  );
  assert.deepEqual(scene.verdicts, [[0, 'mismatch', 1]]);
  assert.deepEqual(scene.turns, [], 'and not a third time');
});

test('what is written while a second look waits is looked at as of now', () => {
  const scene = createScene(one);
  scene.leads = () => false;
  scene.check.anchorsWritten(1, der('new'));
  scene.runTurns();
  scene.leads = () => true;
  scene.check.anchorsWritten(1, der('newer'));
  assert.equal(scene.turns.length, 1);
  scene.runTurns();
  assert.deepEqual(scene.compared.at(-1), ['chain 0', ['newer'], 0]);
  assert.deepEqual(scene.verdicts, [[0, 'leads', 1]]);
});

test('where it cannot be said, or no chain is known, the verdict is that it is unknown', () => {
  const scene = createScene(one);
  scene.leads = () => undefined;
  scene.check.anchorsWritten(1, []);
  scene.runTurns();
  scene.leads = () => false;
  scene.chainOf = () => undefined;
  scene.check.chainWritten(0);
  scene.runTurns();
  assert.deepEqual(scene.verdicts, [
    [0, 'unknown', 0],
    [0, 'unknown', 0],
  ]);
  assert.deepEqual([scene.turns, scene.compared.length], [[], 1]);
});

test('each credential is compared with the anchors of its own signer, all of them, each once, as soon as all are known', () => {
  const other = { ...podCertificate(1, 'other.pem'), signerName: 'example.com/meshes' };
  const alone = { ...podCertificate(2, 'alone.pem'), signerName: 'example.com/alone' };
  const { check, compared, verdicts, faults, turns, runTurns } = createScene([
    ...[podCertificate(0, 'tls.pem'), other, alone, trustBundle(3, 'ca.pem')],
    ...[bundleNamed(4, 'example.com:mesh:live'), bundleNamed(5, 'example.com:meshes:live'), bundleNamed(6, 'mesh')],
  ]);
  check.anchorsWritten(6, der('nobody’s'));
  check.chainWritten(2);
  assert.deepEqual(turns, [], 'who has no anchors beside it is not looked at');
  const [shared] = der('a');
  check.anchorsWritten(3, shared === undefined ? [] : [shared]);
  runTurns();
  assert.deepEqual([compared, faults], [[], []], 'one of the two is not known yet');
  check.anchorsWritten(4, shared === undefined ? [] : [shared, ...der('b')]);
  runTurns();
  check.anchorsWritten(5, der('c'));
  runTurns();
  assert.deepEqual(compared, [
    ['chain 0', ['a', 'b'], 0],
    ['chain 1', ['c'], 0],
  ]);
  assert.deepEqual(verdicts, [
    [0, 'leads', 2],
    [1, 'leads', 1],
  ]);
});

test('no chain is read before there are anchors to compare it with', () => {
  const scene = createScene([...one, bundleNamed(2, 'example.com:mesh:live')]);
  let reads = 0;
  scene.chainOf = (index) => {
    reads += 1;
    return der(`chain ${index}`);
  };
  scene.check.chainWritten(0);
  scene.runTurns();
  scene.check.anchorsWritten(1, der('a'));
  scene.runTurns();
  assert.equal(reads, 0);
  scene.check.anchorsWritten(2, der('b'));
  scene.runTurns();
  assert.equal(reads, 1);
});

test('a chain that cannot be read is a fault of its source, and no verdict', () => {
  const scene = createScene(one);
  const fault = new Error('it is damaged');
  scene.chainOf = () => {
    throw fault;
  };
  scene.check.anchorsWritten(1, der('a'));
  scene.runTurns();
  assert.deepEqual([scene.faults, scene.verdicts], [[[0, fault]], []]);
});

test('a volume that is stopped is compared no more, also where its turn comes only then', () => {
  const { check, compared, verdicts, runTurns } = createScene(one);
  check.anchorsWritten(1, der('a'));
  check.stop();
  runTurns();
  assert.deepEqual([compared, verdicts], [[], []]);
});

test('the anchors that came with a chain are compared by themselves, and only where a source has a file for them', () => {
  const scene = createScene([{ ...podCertificate(0, 'tls.pem'), caPath: 'issuer.pem' }, trustBundle(1, 'ca.pem')]);
  scene.issuedOf = () => der('issued', 'also');
  scene.check.chainWritten(0);
  scene.runTurns();
  assert.deepEqual(scene.compared, [['chain 0', ['issued', 'also'], 0]], 'the bundles are not known yet');
  assert.deepEqual(scene.verdicts, [], 'that it leads there is not all');
  scene.check.anchorsWritten(1, der('a'));
  scene.runTurns();
  assert.deepEqual(scene.verdicts, [[0, 'leads', 1]]);
  scene.leads = (_, anchors) => anchors.length === 1;
  scene.check.chainWritten(0);
  scene.runTurns();
  scene.runTurns();
  assert.deepEqual(scene.verdicts.slice(1), [[0, 'mismatch', 2]]);
  scene.leads = (_, anchors) => (anchors.length === 2 ? true : undefined);
  scene.check.chainWritten(0);
  scene.runTurns();
  assert.deepEqual(
    scene.verdicts.slice(2),
    [[0, 'leads', 2]],
    'what cannot be said of the bundles says nothing against it',
  );
  const without = createScene(one);
  without.issuedOf = () => der('issued');
  without.check.anchorsWritten(1, der('a'));
  without.runTurns();
  assert.deepEqual(without.compared, [['chain 0', ['a'], 0]]);
});

test('a source without bundles beside it is compared with the anchors that came with its chain, if they are known', () => {
  for (const field of ['caPath', 'truststorePath']) {
    const scene = createScene([{ ...podCertificate(0, 'tls.pem'), [field]: 'issuer' }]);
    scene.issuedOf = () => der('issued');
    scene.check.chainWritten(0);
    scene.runTurns();
    assert.deepEqual(scene.verdicts, [[0, 'leads', 1]], field);
    scene.leads = (_, anchors) => (anchors.length === 0 ? undefined : true);
    scene.issuedOf = () => undefined;
    scene.check.chainWritten(0);
    scene.runTurns();
    assert.deepEqual(scene.verdicts.slice(1), [[0, 'unknown', 0]], 'an older agent has kept none');
  }
});
