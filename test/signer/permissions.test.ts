/**
 * The chart's permissions for the trial signer are enough and no more: with exactly them it does all its work; with any one verb of any one
 * rule taken away, something that it does is refused.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { renderChart } from '../../deploy/chart.ts';
import { isObject, type JsonObject } from '../../sandbox/base/objects.ts';
import type { ClusterObject } from '../../sandbox/cluster/permissions.ts';
import { watchRefusals } from '../cluster/refusals.ts';
import { startNode, usualSources, written } from '../end-to-end/node.ts';
import { until } from '../support/bounded.ts';
import { makeDirectory } from '../support/directory.ts';
import { eachWithFields } from '../support/fields.ts';
import { hastened, namespace, type Settings, signerName, startReplica, stored } from './replica.ts';

const name = 'pod-certificate-agent-trial-signer';
const account = `system:serviceaccount:${namespace}:${name}`;
const rbac = '/apis/rbac.authorization.k8s.io/v1';
/** The API server removes requests after 15 minutes divided by this. */
const timeScale = 120;

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** The kinds of the chart that the sandbox has to know, and where they lie. */
const places: Readonly<Record<string, Omit<ClusterObject, 'object'>>> = {
  ClusterRole: { prefix: rbac, resource: 'clusterroles' },
  ClusterRoleBinding: { prefix: rbac, resource: 'clusterrolebindings' },
  Role: { prefix: rbac, resource: 'roles' },
  RoleBinding: { prefix: rbac, resource: 'rolebindings' },
  Secret: { prefix: '/api/v1', resource: 'secrets' },
};

type SigningRequests = 'none' | 'sign' | 'approve';

/** What the chart makes for the signer; nothing where there is no helm. */
function chartObjects(signingRequests: SigningRequests): readonly ClusterObject[] | undefined {
  const rendering = renderChart({ values: { trialSigner: { enabled: true, signerName, signingRequests } } });
  if (rendering.type !== 'rendered') {
    assert.equal(rendering.type, 'missing');
    return undefined;
  }
  return parseAllDocuments(rendering.yaml).flatMap((document) => {
    const object: unknown = document.toJS();
    const place = isObject(object) ? places[String(object['kind'])] : undefined;
    const isOurs = isObject(object) && String((object['metadata'] as JsonObject)['name']).startsWith(name);
    return place !== undefined && isOurs ? [{ ...place, object }] : [];
  });
}

/** All that the signer does. @returns what was refused first, or nothing when all of it went well */
async function live(
  t: TestContext,
  objects: readonly ClusterObject[],
  signingRequests: SigningRequests,
): Promise<string | undefined> {
  const refusals = watchRefusals([account]);
  const rule = [{ signers: ['example.com/*'], certificateSigningRequest: {} }];
  const flags = signingRequests === 'none' ? [] : ['--issuers', JSON.stringify(rule)];
  const node = await startNode(t, { signers: [], timeScale, flags, authorizer: refusals.authorizer });
  const { admin, apiServer } = node.cluster;
  for (const { prefix, resource, object } of objects) {
    const isNamespaced = ['roles', 'rolebindings', 'secrets'].includes(resource);
    await admin.ensure(prefix, { resource, ...(isNamespaced ? { namespace } : {}) }, object);
  }
  const kubeconfig = join(makeDirectory(t), 'signer.kubeconfig');
  // Not in the group of service accounts, whose default role lets them read bundles: it may have been taken away.
  writeFileSync(kubeconfig, apiServer.kubeconfig({ username: account, groups: [], extra: {} }), { mode: 0o600 });
  const settings: Settings = {
    ...{ name, signingRequests, authorityMs: 45_000, tendEveryMs: 100 },
    policy: { leafMs: 30_000, timing: hastened(timeScale) },
  };
  const everything = async (): Promise<undefined> => {
    const signer = await startReplica(t, kubeconfig, settings);
    await admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources: usualSources }] });
    if (signingRequests === 'sign') {
      await approveAll(node.cluster);
    }
    await node.logged(written('web', true));
    // A CA follows: the Secret and the bundle are written again; the Lease is renewed meanwhile.
    const bundle = `example.com:mesh:${name}`;
    const anchors = () =>
      stored(node.cluster, 'clustertrustbundles.certificates.k8s.io', bundle)?.spec?.['trustBundle'];
    await until(
      () => String(anchors()).split('BEGIN CERTIFICATE').length > 2,
      'the anchor of a second CA',
      () => new Promise((resolve) => setTimeout(resolve, 50)),
    );
    await signer.stop();
  };
  return await Promise.race([refusals.first, everything()]);
}

/** As an administrator with `kubectl certificate approve` would. */
async function approveAll(cluster: Awaited<ReturnType<typeof startNode>>['cluster']): Promise<void> {
  const resource = 'certificatesigningrequests.certificates.k8s.io';
  const { store } = cluster.apiServer;
  await until(
    () => store.list(resource).length > 0,
    'a request',
    () => new Promise((resolve) => setTimeout(resolve, 20)),
  );
  for (const request of store.list(resource)) {
    const current = stored(cluster, resource, request.metadata.name ?? '');
    const conditions = [{ type: 'Approved', status: 'True', reason: 'Test', message: 'yes' }];
    if (current !== undefined) {
      store.update(resource, { ...current, status: { conditions } });
    }
  }
}

/** Every verb of every rule on its own, in the words of a refusal. */
function singleVerbs(objects: readonly ClusterObject[]) {
  return objects.flatMap(({ object }) =>
    eachWithFields<Rule>((object as JsonObject)['rules'] ?? [], 'verbs').flatMap((rule) =>
      rule.verbs.flatMap((verb) =>
        rule.resources.map((resource) => {
          const group = rule.apiGroups.find((each) => each !== '');
          return { rule, verb, resource, words: `${verb} ${group === undefined ? resource : `${resource}.${group}`}` };
        }),
      ),
    ),
  );
}

function without(objects: readonly ClusterObject[], taken: Rule, verb: string, resource: string): ClusterObject[] {
  return objects.map(({ object, ...place }) => {
    const { rules = [] } = object as { readonly rules?: readonly Rule[] };
    const left = rules.flatMap((rule) => {
      if (rule !== taken) {
        return [rule];
      }
      const others = { ...rule, resources: rule.resources.filter((each) => each !== resource) };
      const rest = { ...rule, resources: [resource], verbs: rule.verbs.filter((each) => each !== verb) };
      return [others, rest].filter(({ resources, verbs }) => resources.length > 0 && verbs.length > 0);
    });
    return { ...place, object: rules.length === 0 ? object : { ...object, rules: left } };
  });
}

describe('With the permissions of the chart for the trial signer', { concurrency: 3 }, () => {
  for (const signingRequests of ['none', 'sign', 'approve'] as const) {
    const title = `and CertificateSigningRequests: ${signingRequests}`;
    const objects = chartObjects(signingRequests);
    if (objects === undefined) {
      test(`${title}, it does all its work`, { skip: 'helm is not here to render this' }, () => {});
      continue;
    }
    test(`${title}, it answers, publishes and has its CA followed by the next`, async (t) => {
      assert.equal(await live(t, objects, signingRequests), undefined, 'refused');
    });
    // What the other settings have too is tried once.
    const isTried = ({ words }: { words: string }): boolean =>
      signingRequests === 'none' || /certificatesigningrequests|approve/.test(words);
    for (const { rule, verb, resource, words } of singleVerbs(objects).filter(isTried)) {
      test(`${title}, but not ${words}, it cannot do all its work`, async (t) => {
        assert.equal(await live(t, without(objects, rule, verb, resource), signingRequests), words);
      });
    }
  }
});

test('without the option, the chart gives no right over CertificateSigningRequests, and none over other Secrets or signers', (t) => {
  const objects = chartObjects('none');
  if (objects === undefined) {
    t.skip('helm is not here to render this');
    return;
  }
  const text = JSON.stringify(objects);
  assert.doesNotMatch(text, /certificatesigningrequests|"approve"/);
  const rules = objects.flatMap(({ object }) =>
    eachWithFields<Rule & { readonly resourceNames?: readonly string[] }>(
      (object as JsonObject)['rules'] ?? [],
      'verbs',
    ),
  );
  for (const { resources, resourceNames } of rules) {
    if (resources.some((resource) => resource === 'secrets' || resource === 'signers')) {
      assert.equal(resourceNames?.length, 1, `${resources} are held to one name`);
    }
  }
});
