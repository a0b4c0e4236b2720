/** Which certificate API a signer is asked through, and how rules are read. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import {
  apisNamed,
  audiencesFor,
  type IssuerRules,
  issuerFor,
  readIssuerRules,
} from '../../../agent/issuance/issuer-rules.ts';

/** What a request says where the rule says nothing: an X.509-SVID for mutual TLS, and nothing of the pod's choice. */
const usual = {
  requester: { as: 'agent' },
  usages: ['digital signature', 'key encipherment', 'server auth', 'client auth'],
  refreshAfter: 2 / 3,
  template: {
    uris: [`spiffe://\${trustDomain}/ns/\${namespace}/sa/\${serviceAccountName}`],
    dnsNames: [],
    ipAddresses: [],
    organizations: [],
    allowFromPod: { dnsNames: [], uris: [], ipAddresses: [], commonNames: [] },
  },
};

function rules(written: unknown): IssuerRules {
  const reading = readIssuerRules(written);
  assert.ok(reading.ok, JSON.stringify(reading));
  return reading.value;
}

describe('without a rule', () => {
  it('a signer is asked by PodCertificateRequest', () => {
    assert.deepEqual(issuerFor([], 'shop', 'example.com/mesh'), { api: 'podCertificateRequest' });
  });

  it("cert-manager's names go to cert-manager", () => {
    const cluster = issuerFor([], 'shop', 'clusterissuers.cert-manager.io/ca');
    assert.ok(cluster.api === 'certManager', inspect(cluster));
    const issuer = { name: 'ca', kind: 'ClusterIssuer', group: 'cert-manager.io' };
    assert.deepEqual(cluster, { api: 'certManager', issuer, ...usual });
    const own = issuerFor([], 'shop', 'issuers.cert-manager.io/shop.ca.v2');
    assert.ok(own.api === 'certManager', inspect(own));
    assert.deepEqual(own.issuer, { name: 'ca.v2', kind: 'Issuer', group: 'cert-manager.io' });
    const short = issuerFor([], 'a', 'issuers.cert-manager.io/a.ca');
    assert.ok(short.api === 'certManager', inspect(short));
    assert.equal(short.issuer.name, 'ca');
  });

  it("an issuer of another namespace is refused, also one whose name only begins like the pod's", () => {
    const fault = { code: 'SignerNotAllowed', actor: 'pod author' };
    for (const name of ['bank.ca', 'shop', 'shop2', 'shop2.ca', '.ca']) {
      assert.throws(() => issuerFor([], 'shop', `issuers.cert-manager.io/${name}`), fault, name);
    }
  });
});

describe('with rules', () => {
  const some = rules([
    { signers: ['example.com/*'], namespaces: ['shop'], certificateSigningRequest: { refreshAfter: 0.5 } },
    { signers: ['*'], certManager: { issuer: { name: 'ca' }, usages: ['client auth'] } },
  ]);

  it('the first that matches counts', () => {
    const first = issuerFor(some, 'shop', 'example.com/mesh');
    assert.ok(first.api === 'certificateSigningRequest', inspect(first));
    assert.equal(first.refreshAfter, 0.5);
    const second = issuerFor(some, 'bank', 'example.com/mesh');
    assert.ok(second.api === 'certManager', inspect(second));
    assert.deepEqual(second.issuer, { name: 'ca', kind: 'Issuer', group: 'cert-manager.io' });
    assert.deepEqual(second.usages, ['client auth']);
  });

  it('one counts for each of its signers, and in each of its namespaces, and nowhere else', () => {
    const several = rules([
      {
        signers: ['example.com/a', 'example.com/b'],
        namespaces: ['shop', 'bank'],
        certManager: { issuer: { name: 'ca' } },
      },
    ]);
    for (const namespace of ['shop', 'bank', 'other']) {
      for (const signer of ['a', 'b', 'c']) {
        const isMeant = namespace !== 'other' && signer !== 'c';
        const { api } = issuerFor(several, namespace, `example.com/${signer}`);
        assert.equal(api, isMeant ? 'certManager' : 'podCertificateRequest', `${namespace} ${signer}`);
      }
    }
  });

  it('what one says goes into the request, and the usual where it says nothing', () => {
    const [issuer, signers] = [{ name: 'ca', kind: 'ClusterIssuer', group: 'cert-manager.io' }, ['example.com/some']];
    const contents = {
      uris: ['spiffe://td/x'],
      dnsNames: ['a.example'],
      ipAddresses: ['10.0.0.1', `\${podIPs}`],
      organizations: ['some'],
      commonName: 'name',
      allowFromPod: { dnsNames: ['*.a.example'], uris: [], ipAddresses: ['10.0.0.0/8'], commonNames: [] },
    };
    const asked = { usages: ['email protection'], refreshAfter: 0.5, lifetimeSeconds: 600 };
    const choiceOf = (rule: object) => issuerFor(rules([{ signers, ...rule }]), 'shop', 'example.com/some');
    assert.deepEqual(choiceOf({ certManager: { issuer, ...asked, ...contents } }), {
      api: 'certManager',
      issuer,
      requester: { as: 'agent' },
      ...asked,
      template: contents,
    });
    assert.deepEqual(choiceOf({ certificateSigningRequest: {} }), { api: 'certificateSigningRequest', ...usual });
    const podCertificates = rules([{ signers: ['*'], podCertificateRequest: {} }]);
    assert.deepEqual(issuerFor(podCertificates, 'shop', 'clusterissuers.cert-manager.io/ca'), {
      api: 'podCertificateRequest',
    });
  });

  it('name the APIs that are needed, each once', () => {
    assert.deepEqual(apisNamed([]), []);
    assert.deepEqual(apisNamed(some), ['certificateSigningRequest', 'certManager']);
    const [, last] = some;
    assert.ok(last, 'there are two rules');
    assert.deepEqual(apisNamed([last, last]), ['certManager']);
  });

  it('a rule for cert-manager that names no issuer needs a signer that does', () => {
    const vague = rules([{ signers: ['*'], certManager: {} }]);
    assert.throws(() => issuerFor(vague, 'shop', 'example.com/mesh'), { code: 'Rejected', actor: 'cluster operator' });
    assert.equal(issuerFor(vague, 'shop', 'clusterissuers.cert-manager.io/ca').api, 'certManager');
    assert.throws(() => issuerFor(vague, 'shop', 'issuers.cert-manager.io/bank.ca'), { code: 'SignerNotAllowed' });
  });

  it('an issuer of another group may be of any kind', () => {
    const issuer = { name: 'a', kind: 'AWSPCAIssuer', group: 'awspca.cert-manager.io' };
    const [rule] = rules([{ signers: ['*'], certManager: { issuer } }]);
    assert.ok(rule !== undefined, 'the rule is taken');
  });

  it('are read again from what is kept of them', () => {
    assert.deepEqual(rules(JSON.parse(JSON.stringify(some))), some);
  });
});

describe('on whose behalf', () => {
  const requesterOf = (written: IssuerRules, signerName: string) => {
    const choice = issuerFor(written, 'shop', signerName);
    return choice.api === 'podCertificateRequest' ? undefined : choice.requester;
  };
  const some = rules([
    { signers: ['example.com/pod'], as: 'pod', certificateSigningRequest: {} },
    { signers: ['example.com/named'], as: 'pod', audience: 'https://api', certManager: { issuer: { name: 'ca' } } },
    { signers: ['example.com/agent'], as: 'agent', certificateSigningRequest: {} },
    { signers: ['example.com/again'], as: 'pod', certificateSigningRequest: {} },
    { signers: ['example.com/silent'], certificateSigningRequest: {} },
  ]);

  it("a request is made as the agent, unless the rule wants the pod's own account", () => {
    assert.deepEqual(requesterOf(some, 'example.com/pod'), { as: 'pod', audience: '' });
    assert.deepEqual(requesterOf(some, 'example.com/named'), { as: 'pod', audience: 'https://api' });
    assert.deepEqual(requesterOf(some, 'example.com/agent'), { as: 'agent' });
    assert.deepEqual(requesterOf(some, 'example.com/silent'), { as: 'agent' });
    assert.deepEqual(requesterOf(some, 'clusterissuers.cert-manager.io/ca'), { as: 'agent' }, 'without a rule');
  });

  it('the audiences that tokens are needed for are those of the rules for the signers of a pod, each once', () => {
    const audiences = (...names: string[]) => [...audiencesFor(some, 'shop', names)];
    assert.deepEqual(audiences('example.com/pod', 'example.com/again', 'example.com/named'), ['', 'https://api']);
    assert.deepEqual(audiences('example.com/named', 'example.com/agent'), ['https://api']);
    assert.deepEqual(audiences('example.com/silent', 'example.com/mesh'), []);
    assert.deepEqual(audiences('issuers.cert-manager.io/bank.ca', 'example.com/pod'), [''], 'one that it may not ask');
    assert.deepEqual([...audiencesFor([], 'shop', ['example.com/pod'])], []);
    assert.deepEqual([...audiencesFor(some.slice(0, 2), 'shop', ['example.com/pod'])], [''], 'all for pods');
  });

  it('the word of the rules in force is read again from what is kept of them', () => {
    assert.deepEqual(rules(JSON.parse(JSON.stringify(some))), some);
  });
});

it('what pods may ask for is read with stars in labels and in paths, and with ranges of addresses', () => {
  const allowFromPod = {
    dnsNames: ['*.a.example', 'a.b-*-c.example', 'plain.example'],
    uris: ['https://a.example/*', 'spiffe://td/a-*/b'],
    ipAddresses: ['10.0.0.0/32', '10.0.0.0/0', '192.0.2.1', '2001:db8::/128', '2001:db8::/33', '::1'],
    commonNames: ['web-*', 'a/b*'],
  };
  assert.equal(readIssuerRules([{ signers: ['*'], certManager: { allowFromPod } }]).ok, true);
  const [rule] = rules([{ signers: ['*'], certManager: { allowFromPod: {} } }]);
  assert.deepEqual(rule?.certManager?.allowFromPod, usual.template.allowFromPod);
});

describe('faults of rules are named', () => {
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [{}, /^must be Array, as a list of rules$/],
    [[{ signers: ['example.com/*'] }], /0 must hold exactly one of/],
    [[{ signers: ['*'], podCertificateRequest: {}, certManager: {} }], /0 must hold exactly one of/],
    [[{ signers: ['no slash'], podCertificateRequest: {} }], /^0\.signers\.0 must be a signer like example\.com\/mesh/],
    [[{ signer: ['a.b/c'], podCertificateRequest: {} }], /^0\.signers is missing; 0\.signer is not known here$/],
    [
      [{ signers: ['*'], certManager: { refreshAfter: 66, lifetimeSeconds: 300 } }],
      /^0\.certManager\.refreshAfter must be <1, not 66; 0\.certManager\.lifetimeSeconds must be >=600, not 300$/,
    ],
    [[{ signers: ['*'], namespaces: ['Team'], podCertificateRequest: {} }], /namespaces\.0 must be a namespace, the/],
    [
      [{ signers: ['*'], certManager: { refreshAfter: 'x'.repeat(1000) } }],
      /refreshAfter must be number, not "x{50,60}[^x]*$/,
    ],
    [['a', 'b', 'c', 'd', 'e'], /^0 must be Object, not "a"; 1 must be Object, not "b"; 2 must be Object, not "c"$/],
    [[{ signers: [], podCertificateRequest: {} }], /0\.signers/],
    [
      [{ signers: ['*'], certManager: { usages: ['cert sign'] } }],
      /0\.certManager\.usages\.0 must be one of signing, digital signature, /,
    ],
    [[{ signers: ['*'], certManager: { usages: ['any', 'any'] } }], /must not repeat a usage/],
    [[{ signers: ['*'], certManager: { usages: ['email protection', 's/mime'] } }], /usages must not hold both/],
    [
      [{ signers: ['*'], certManager: { issuer: { name: 'a', kind: 'AWSPCAIssuer' } } }],
      /issuer must have the kind Issuer/,
    ],
    [[{ signers: ['*'], certificateSigningRequest: { refreshAfter: 1 } }], /refreshAfter/],
    [[{ signers: ['*'], certificateSigningRequest: { colour: 'red' } }], /colour/],
    [[{ signers: ['*'], as: 'pod', podCertificateRequest: {} }], /0 must not say "as: pod" of podCertificateRequest/],
    [[{ signers: ['*'], as: 'node', certificateSigningRequest: {} }], /0\.as must be/],
    [[{ signers: ['*'], audience: 'a', certificateSigningRequest: {} }], /0 says audience/],
    [[{ signers: ['*'], as: 'agent', audience: 'a', certificateSigningRequest: {} }], /0 says audience/],
    [[{ signers: ['*'], as: 'pod', audience: 'a b', certificateSigningRequest: {} }], /0\.audience/],
    [[{ signers: ['*'], as: 'pod', audience: '', certificateSigningRequest: {} }], /0\.audience/],
    [[{ signers: ['*'], certificateSigningRequest: { as: 'pod' } }], /certificateSigningRequest\.as/],
    [[{ signers: ['*'], certManager: { uris: [`spiffe://\${trustDoman}/x`] } }], /trustDoman/],
    [[{ signers: ['*'], certManager: { uris: [`spiffe://td/\${namespace`] } }], /names the variable/],
    [
      [{ signers: ['*'], certManager: { commonName: `\${a}\${b}` } }],
      /names the variable a, b, known are trustDomain, namespace, podName/,
    ],
    [[{ signers: ['*'], certManager: { dnsNames: [`\${podIPs}`] } }], /podIPs/],
    [[{ signers: ['*'], certManager: { dnsNames: [`\${pod.labels['a}b']}`] } }], /pod\.labels/],
    [[{ signers: ['*'], certManager: { allowFromPod: { dnsNames: ['a**.b'] } } }], /one "\*" between two "\."/],
    [[{ signers: ['*'], certManager: { allowFromPod: { commonNames: ['a.*b*.c'] } } }], /one "\*" between two "\."/],
    [[{ signers: ['*'], certManager: { allowFromPod: { uris: ['a://b/*x*'] } } }], /one "\*" between two "\/"/],
    [[{ signers: ['*'], certManager: { allowFromPod: { uris: ['a*://b/c'] } } }], /path of a URI only/],
    [[{ signers: ['*'], certManager: { allowFromPod: { uris: ['a:*/b/c'] } } }], /path of a URI only/],
    [[{ signers: ['*'], certManager: { allowFromPod: { uris: ['spiffe://*/ns/a'] } } }], /path of a URI only/],
    [[{ signers: ['*'], certManager: { allowFromPod: { ipAddresses: ['10.0.0.0/33'] } } }], /range like/],
    ...[
      '10.0.0',
      '',
      '10.0.0.0/',
      '10.0.0.0/8/8',
      '10.0.0.0/x',
      '10.0.0.0/8x',
      '10.0.0.0/x8',
      '::/129',
      '::/0128',
      '/8',
    ].map(
      (range) => [[{ signers: ['*'], certManager: { allowFromPod: { ipAddresses: [range] } } }], /range like/] as const,
    ),
    [[{ signers: ['*'], certManager: { allowFromPod: { emails: [] } } }], /emails/],
    [[{ signers: ['*'], certManager: { lifetimeSeconds: 599 } }], /lifetimeSeconds/],
  ];
  for (const [written, fault] of cases) {
    it(JSON.stringify(written), () => {
      const reading = readIssuerRules(written);
      assert.ok(!reading.ok, 'the rules are refused');
      assert.match(reading.fault, fault);
    });
  }
});
