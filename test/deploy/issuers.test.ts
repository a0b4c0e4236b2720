/** What the chart makes of rules for issuers: permissions by API and identity mode, and what the kubelet is asked for. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { modes, valuesOf } from './matrix.ts';
import { one, render, withoutHelm } from './objects.ts';

const signers = ['example.org/*'];
const signingRequests = { signers, certificateSigningRequest: {} };
const certManager = { signers, certManager: { issuer: { name: 'ca' } } };
const asPod = { as: 'pod' };

interface Rule {
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

function rendered(mode: string, issuers: readonly object[], more: object = {}, kubernetes = '1.36.0') {
  return render({ values: { ...valuesOf({ 'identity.mode': mode, ...more }), issuers }, kubernetes });
}

/** Verbs that the agent is given on a resource. */
function verbsOn(resource: string, mode: string, issuers: readonly object[], more: object = {}): readonly string[] {
  const objects = rendered(mode, issuers, more).filter(
    ({ kind, metadata }) => kind === 'ClusterRole' && metadata.name === 'pod-certificate-agent',
  );
  const rules = objects.flatMap((role) => role['rules'] as readonly Rule[]);
  return rules.filter(({ resources }) => resources.includes(resource)).flatMap(({ verbs }) => verbs);
}

function driver(mode: string, issuers: readonly object[], kubernetes?: string): Readonly<Record<string, unknown>> {
  return one(rendered(mode, issuers, {}, kubernetes), 'CSIDriver')['spec'] as Readonly<Record<string, unknown>>;
}

const asNode = (verbs: readonly string[]) => verbs.map((verb) => `impersonate-on:associated-node:${verb}`);

describe('with rules for issuers the chart', { skip: withoutHelm }, () => {
  const reading = ['get', 'list', 'watch'];

  test('lets the agent create requests where a rule makes them as the agent, and only there', () => {
    const on = (issuers: readonly object[]) => [
      verbsOn('certificatesigningrequests', 'impersonatedNode', issuers),
      verbsOn('certificatesigningrequests', 'serviceAccount', issuers),
      verbsOn('certificaterequests', 'serviceAccount', issuers),
    ];
    const all = ['create', ...reading];
    assert.deepEqual(on([signingRequests]), [[...asNode(all), 'delete'], [...all, 'delete'], []]);
    assert.deepEqual(on([{ ...signingRequests, ...asPod }]), [
      [...asNode(reading), 'delete'],
      [...reading, 'delete'],
      [],
    ]);
    assert.deepEqual(on([{ ...certManager, ...asPod }]), [[], [], [...reading, 'delete']]);
    assert.deepEqual(on([certManager]), [[], [], [...all, 'delete']]);
    const both = [{ ...signingRequests, ...asPod }, signingRequests];
    assert.deepEqual(on(both)[1], [...all, 'delete'], 'one rule that makes them as the agent is enough');
    const byName = verbsOn('certificaterequests', 'serviceAccount', [{ ...certManager, ...asPod }], {
      'rbac.certManager': true,
    });
    assert.deepEqual(byName, [...all, 'delete'], "names of cert-manager's issuers are asked without a rule");
  });

  test('holds the removal of requests to the node of the token wherever it gives it, and makes no such policy elsewhere', () => {
    const name = 'pod-certificate-agent-request-removal';
    const held = (mode: string, issuers: readonly object[], more: object = {}): readonly unknown[] => {
      const policies = rendered(mode, issuers, more).filter(({ metadata }) => metadata.name === name);
      if (policies.length === 0) {
        return [];
      }
      assert.deepEqual(one(policies, 'ValidatingAdmissionPolicyBinding')['spec'], {
        policyName: name,
        validationActions: ['Deny'],
      });
      const spec = one(policies, 'ValidatingAdmissionPolicy')['spec'] as {
        readonly failurePolicy: string;
        readonly matchConstraints: { readonly resourceRules: readonly (Rule & { readonly operations: unknown })[] };
      };
      assert.equal(spec.failurePolicy, 'Fail');
      return spec.matchConstraints.resourceRules.flatMap(({ resources, operations }) => [...resources, operations]);
    };
    const both = ['certificatesigningrequests', ['DELETE'], 'certificaterequests', ['DELETE']];
    for (const mode of ['impersonatedNode', 'serviceAccount']) {
      assert.deepEqual(held(mode, []), [], mode);
      assert.deepEqual(held(mode, [signingRequests]), both.slice(0, 2), mode);
      assert.deepEqual(held(mode, [{ ...certManager, ...asPod }]), both.slice(2), mode);
      assert.deepEqual(held(mode, [], { 'rbac.certManager': true }), both.slice(2), mode);
      assert.deepEqual(held(mode, [certManager, { ...signingRequests, ...asPod }]), both, mode);
    }
    assert.deepEqual(held('kubelet', [signingRequests, certManager]), [], 'a kubelet may remove none');
  });

  test('gives tokens of pods to nobody but the impersonated node, and only for rules that say "as: pod"', () => {
    for (const mode of modes) {
      assert.deepEqual(verbsOn('serviceaccounts/token', mode, [signingRequests, certManager]), [], mode);
      const wanted = mode === 'impersonatedNode' ? asNode(['create']) : [];
      assert.deepEqual(verbsOn('serviceaccounts/token', mode, [{ ...signingRequests, ...asPod }]), wanted, mode);
      assert.deepEqual(verbsOn('serviceaccounts/token', mode, [{ ...certManager, ...asPod }]), wanted, mode);
    }
  });

  test('has the kubelet hand tokens over where the agent cannot ask for them, for the audiences of the rules', () => {
    const audience = 'https://api/"quoted"';
    const issuers = [
      { ...signingRequests, ...asPod },
      { ...certManager, ...asPod, audience },
      { ...certManager, ...asPod, audience },
      { ...certManager, as: 'agent' },
    ];
    const tokenRequests = ['', audience].map((each) => ({ audience: each, expirationSeconds: 600 }));
    for (const mode of modes) {
      const { tokenRequests: made, requiresRepublish } = driver(mode, issuers);
      assert.deepEqual(made, tokenRequests, mode);
      assert.equal(requiresRepublish, mode === 'impersonatedNode' ? undefined : true, mode);
    }
  });

  test('has tokens handed over where nothing prints them, on clusters that know how', () => {
    const issuers = [{ ...signingRequests, ...asPod }];
    const inSecrets = (kubernetes: string) =>
      driver('serviceAccount', issuers, kubernetes)['serviceAccountTokenInSecrets'];
    assert.deepEqual(['1.34.2', '1.35.0-alpha.1', '1.35.0', '1.36.2+k3s1', '1.37.0'].map(inSecrets), [
      undefined,
      true,
      true,
      true,
      true,
    ]);
  });

  test('asks the kubelet for nothing without a rule that says "as: pod"', () => {
    for (const mode of modes) {
      const spec = driver(mode, [signingRequests, { ...certManager, as: 'agent' }]);
      for (const field of ['tokenRequests', 'requiresRepublish', 'serviceAccountTokenInSecrets']) {
        assert.equal(spec[field], undefined, `${field} in mode ${mode}`);
      }
    }
  });
});
