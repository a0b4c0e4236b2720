/** The trust anchors of one volume, over plain objects. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TrustNotice } from '../../../agent/lifecycle/notices.ts';
import type { Anchors } from '../../../agent/lifecycle/ports.ts';
import type { ClusterTrustBundleSource, TrustDomains } from '../../../volumes/declaration/types.ts';
import { found, missing } from './node-scene.ts';
import { hour, minute, podCertificate } from './plain.ts';
import { both, bundle, certificate, type RunnerScene, startRunner } from './runner-scene.ts';

const fail = (error: Error): never => {
  throw error;
};
const refused: Anchors = { type: 'refused', message: 'too many' };
const apart: TrustDomains = { own: 'own', canarying: 'live', as: 'filePerTrustDomain', needsOwn: true };

/** What was said of trust anchors, without the volume, which is that of the scene. */
function told({ notices, volume }: RunnerScene): readonly object[] {
  return notices
    .filter((notice): notice is TrustNotice => notice.type.startsWith('anchors'))
    .map(({ volume: of, ...rest }) => {
      assert.equal(of, volume.record);
      return rest;
    });
}

function domains(...names: readonly string[]): Anchors & { readonly type: 'found' } {
  const byTrustDomain = names.map((trustDomain) => ({ trustDomain, certificates: [Buffer.from(trustDomain)] }));
  return { type: 'found', certificates: [Buffer.from('own')], byTrustDomain };
}

/** A pod that runs with a certificate and anchors. */
async function live(prepare?: Parameters<typeof startRunner>[1]): Promise<RunnerScene> {
  const scene = startRunner(both, prepare);
  await scene.announce(found('ca'));
  await scene.answer();
  scene.notices.splice(0);
  return scene;
}

test('anchors are told when they come into the files and when they change there, not when they are the same', async () => {
  const scene = await live();
  assert.deepEqual([told(scene), scene.runner.trustDomains()], [[], new Map()]);
  await scene.announce(found('ca'));
  await scene.announce(found('ca', 'new'));
  assert.deepEqual(told(scene), [{ type: 'anchorsProjected', source: 1, first: false, certificates: 2 }]);
  const first = startRunner([bundle]);
  await first.announce(found('ca'));
  assert.deepEqual(told(first), [{ type: 'anchorsProjected', source: 1, first: true, certificates: 1 }]);
});

test('first anchors are told also where an earlier run had the same in the files', async () => {
  const scene = startRunner([bundle]);
  scene.volume.sources.set(1, { files: 'anchors ca' });
  await scene.announce(found('ca'));
  assert.deepEqual(told(scene).length, 1);
});

test('anchors that are gone stay in the files, those that are refused too, and it is said what stays', async () => {
  const scene = await live();
  await scene.announce({ ...missing, isOperators: true });
  await scene.announce(refused);
  assert.deepEqual(told(scene), [
    { type: 'anchorsMissing', source: 1, message: 'no bundle', isOperators: true, kept: true },
    { type: 'anchorsRefused', source: 1, message: 'too many' },
  ]);
  assert.equal(scene.volume.sources.get(1)?.files, 'anchors ca');
  assert.equal(scene.runner.status().type, 'ready');
});

test('a pod does not start with anchors that were withdrawn while it waited', async () => {
  const scene = startRunner(both);
  await scene.announce(found('ca'));
  await scene.announce(missing);
  assert.deepEqual(told(scene), [{ type: 'anchorsMissing', source: 1, message: 'no bundle' }]);
  let changes = 0;
  scene.runner.onChange(() => {
    changes += 1;
  });
  await scene.announce(missing);
  assert.ok(changes > 0, 'what is waited for may be another');
  await scene.answer();
  assert.deepEqual([scene.runner.status().type, scene.volume.sources.get(1)?.files], ['waiting', undefined]);
});

test('who may go without anchors has an empty file of those that are missing, and none of those that are refused', async () => {
  const scene = startRunner([{ ...bundle, optional: true }]);
  await scene.announce(refused);
  assert.equal(scene.runner.status().type, 'waiting');
  await scene.announce(missing);
  assert.deepEqual([scene.runner.status().type, scene.volume.sources.get(1)?.files], ['ready', 'anchors']);
  assert.deepEqual(
    told(scene).map((notice) => 'type' in notice && notice.type),
    ['anchorsRefused', 'anchorsProjected'],
    'nobody misses what need not be there',
  );
});

test('who can do without the anchors of its own trust domain starts without any', async () => {
  for (const needsOwn of [true, false]) {
    const scene = startRunner([{ ...bundle, trustDomains: { ...apart, needsOwn } }]);
    await scene.announce({ ...missing, byTrustDomain: [] });
    assert.equal(scene.runner.status().type, needsOwn ? 'waiting' : 'ready');
    assert.equal(
      told(scene).some((notice) => 'type' in notice && notice.type === 'anchorsMissing'),
      needsOwn,
    );
  }
});

test('trust domains that come and go are told, with how many anchors there are of all', async () => {
  const source: ClusterTrustBundleSource = { ...bundle, trustDomains: apart };
  const scene = startRunner([source]);
  assert.deepEqual(scene.runner.trustDomains(), new Map());
  await scene.announce(domains('own', 'one'));
  await scene.announce(domains('own', 'one', 'two'));
  await scene.announce({ ...missing, byTrustDomain: domains('two').byTrustDomain ?? [] });
  await scene.announce(missing);
  const projected = { type: 'anchorsProjected', source: 1 };
  const gone = { type: 'anchorsMissing', source: 1, message: 'no bundle' };
  const all = ['own', 'one', 'two'];
  assert.deepEqual(told(scene), [
    { ...projected, first: true, certificates: 2, trustDomains: ['own', 'one'] },
    { ...projected, first: false, certificates: 3, trustDomains: all, federation: { come: ['two'], gone: [] } },
    { ...gone, kept: 'own' },
    {
      ...{ ...projected, first: false, certificates: 2, trustDomains: ['two', 'own'] },
      federation: { come: [], gone: ['one'] },
    },
    { ...gone, kept: true },
  ]);
  assert.deepEqual(scene.runner.trustDomains(), new Map([[1, ['two', 'own']]]));
});

test('bundles that are left out are told once, whatever else is found', async () => {
  const scene = await live();
  for (let times = 0; times < 2; times += 1) {
    await scene.announce({ ...found('ca'), leftOut: 'one is too large' });
  }
  assert.deepEqual(told(scene), [{ type: 'anchorsRefused', source: 1, message: 'left out: one is too large' }]);
});

test('anchors that have expired are counted, and told when there are more, with what becomes of them', async () => {
  for (const expired of ['drop', undefined] as const) {
    const scene = startRunner([expired === undefined ? bundle : { ...bundle, expired }]);
    assert.deepEqual(scene.runner.expiredAnchors(), new Map());
    for (const count of [2, 1, 1, 3, undefined]) {
      await scene.announce({ ...found('ca'), ...(count === undefined ? {} : { expired: count }) });
      assert.deepEqual(scene.runner.expiredAnchors(), new Map(count === undefined ? [] : [[1, count]]));
    }
    const all = told(scene).filter((notice) => 'expired' in notice);
    assert.deepEqual(
      all,
      [2, 3].map((count) => ({
        ...{ type: 'anchorsExpired', source: 1, expired: count, dropped: expired === 'drop' },
      })),
    );
  }
});

/** A pod whose certificate leads to anchors only where they are named so. */
const leadsToNew = (prepared: Omit<RunnerScene, 'runner'>): void => {
  prepared.leadsToAnchor = (_chain, anchors) => anchors.some((anchor) => Buffer.from(anchor).toString() === 'new');
};

test('a chain is compared with its anchors when either has come into the files', async () => {
  const scene = await live(leadsToNew);
  assert.notEqual(scene.runner.snapshot()[0]?.trustMismatchSince, undefined);
  await scene.announce(found('new'));
  assert.equal(scene.runner.snapshot()[0]?.trustMismatchSince, undefined);
  await scene.announce(found('ca'));
  assert.notEqual(scene.runner.snapshot()[0]?.trustMismatchSince, undefined);
  scene.leadsToAnchor = () => true;
  await scene.pass(18 * hour);
  await scene.answer();
  assert.equal(scene.runner.snapshot()[0]?.trustMismatchSince, undefined, 'another chain is another matter');
});

test('a mismatch is told with the number of anchors, and is over with an empty file, which none leads to', async () => {
  const scene = startRunner([certificate, { ...bundle, optional: true }], leadsToNew);
  await scene.announce(found('ca', 'other'));
  await scene.answer();
  await scene.pass(10 * minute);
  const notice = scene.notices.find(({ type }) => type === 'trustMismatch');
  assert.equal(notice?.type === 'trustMismatch' && notice.anchors, 2);
  scene.leadsToAnchor = () => undefined;
  await scene.announce(missing);
  assert.equal(scene.runner.snapshot()[0]?.trustMismatchSince, undefined);
});

test('where the pod’s own trust domain has none, what was there before is compared', async () => {
  const scene = startRunner([certificate, { ...bundle, trustDomains: apart }]);
  await scene.answer();
  await scene.announce(domains('own'));
  const compared: number[] = [];
  scene.leadsToAnchor = (_chain, anchors) => {
    compared.push(anchors.length);
    return true;
  };
  await scene.announce({ type: 'found', certificates: [], byTrustDomain: [{ trustDomain: 'own', certificates: [] }] });
  assert.deepEqual(compared, []);
  await scene.announce(domains('own', 'other'));
  assert.deepEqual(compared, [1]);
});

test('a comparison that is a fault of the agent is told with the source, and one that comes after the end is not made', async () => {
  const scene = await live((prepared) => {
    prepared.leadsToAnchor = () => fail(new TypeError('no function'));
  });
  const fault = ['no function', 'a fault while looking after sources[0] of /volume'];
  assert.deepEqual(scene.faults, [fault, fault], 'at the anchors and at the chain');
  let compared = 0;
  scene.leadsToAnchor = () => {
    compared += 1;
    return true;
  };
  await scene.announce(found('new'));
  assert.equal(compared, 1);
  await scene.restart();
  scene.subscribed.get(1)?.(found('newer'));
  scene.runner.onChange(() => scene.runner.stop());
  await scene.settle();
  assert.equal(compared, 1);
});

test('anchors that came with a certificate of an earlier run are compared with it at once; those of bundles when they are told of', async () => {
  for (const caPath of ['issued.pem', undefined]) {
    const source = caPath === undefined ? certificate : { ...certificate, caPath };
    const scene = startRunner([source, podCertificate(2, 'other.pem')]);
    await scene.answer();
    await scene.answer();
    let compared = 0;
    scene.leadsToAnchor = () => {
      compared += 1;
      return true;
    };
    await scene.restart();
    assert.equal(compared, caPath === undefined ? 0 : 1);
    scene.runner.stop();
  }
  const empty = startRunner([{ ...certificate, caPath: 'issued.pem' }, bundle]);
  let looked = 0;
  empty.volume.currentChain = () => {
    looked += 1;
    return undefined;
  };
  await empty.answer();
  await empty.restart();
  assert.equal(looked, 0, 'there is no chain in the files');
});
