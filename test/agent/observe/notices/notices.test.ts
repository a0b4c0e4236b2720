import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AgentError, type ErrorCode } from '../../../../agent/base/errors.ts';
import type { Notice } from '../../../../agent/lifecycle/notices.ts';
import { createMetrics } from '../../../../agent/observe/metrics/metrics.ts';
import { createReporter, type EventSink, type PodEvent } from '../../../../agent/observe/notices/notices.ts';
import { createLogProbe, credential, credentialFields, type Entry, volume } from '../subjects.ts';

function open(sink?: EventSink) {
  const { log, entries } = createLogProbe();
  const metrics = createMetrics({ version: '1' });
  const events: PodEvent[] = [];
  const report = createReporter({ log, metrics, events: sink ?? ((event) => void events.push(event)) });
  /** Series of the agent's own metrics that are not 0, buckets aside. */
  const series = async (): Promise<readonly string[]> => {
    const { body } = await metrics.render();
    return body
      .split('\n')
      .filter((line) => line.startsWith('podcert_agent_') && !/_bucket\{|_build_info| 0$/.test(line))
      .map((line) => line.replace('podcert_agent_', '').replaceAll('signer_name="example.com/mesh"', 'S'));
  };
  return { report, entries, events, series };
}

const requestName = 'pc-1';
const moment = Date.UTC(2026, 10, 22, 10, 0, 0, 123);
const later = Date.UTC(2026, 10, 23, 10, 0, 0);
const error = (code: ErrorCode, message: string): AgentError => new AgentError(code, message, { actor: 'nobody' });
const anchors = { volume, source: 1 };

interface Row {
  readonly notice: Notice;
  readonly line: Entry;
  readonly series: readonly string[];
  readonly event?: readonly [type: string, reason: string, message: RegExp];
}

/** Every notice, and all that is made of it. */
const rows: readonly Row[] = [
  {
    notice: { ...credential, type: 'keyMade', requestName, tookMs: 3 },
    line: { level: 'debug', message: 'key made', request: 'pc-1', tookMs: 3 },
    series: [],
  },
  {
    notice: { ...credential, type: 'requested', requestName, tookMs: 20 },
    line: { level: 'info', message: 'certificate requested', request: 'pc-1', tookMs: 20 },
    series: ['requests_total{S} 1'],
  },
  {
    notice: { ...credential, type: 'waitingForSigner', requestName, waitedMs: 10_000 },
    line: { level: 'warn', message: 'waiting for the signer', request: 'pc-1', waitedMs: 10_000 },
    series: ['slow_requests_total{S} 1'],
    event: [
      'Normal',
      'WaitingForSigner',
      /not answered request shop\/pc-1 for 10 s\. If this lasts, ask the cluster op/,
    ],
  },
  {
    notice: {
      ...credential,
      type: 'waitingForSigner',
      requestName,
      waitedMs: 10_000,
      hurdle: { turn: 'approver', text: 'request pc-1 waits for its approval', detail: 'no policy\nmatches' },
    },
    line: {
      level: 'warn',
      message: 'waiting for an approval',
      request: 'pc-1',
      waitedMs: 10_000,
      detail: 'no policy\nmatches',
    },
    series: ['slow_requests_total{S} 1'],
    event: [
      'Normal',
      'WaitingForApproval',
      /waits for its approval\. It is said: no policy matches\. Compare the names .* The pod goes on/,
    ],
  },
  {
    notice: {
      ...credential,
      type: 'waitingForSigner',
      requestName,
      waitedMs: 20_000,
      hurdle: { turn: 'signer', text: 'request pc-1 is approved, and its signer has not signed it' },
      again: true,
    },
    line: {
      level: 'warn',
      message: 'waiting for the signer',
      request: 'pc-1',
      waitedMs: 20_000,
      detail: 'request pc-1 is approved, and its signer has not signed it',
    },
    series: [],
    event: ['Normal', 'WaitingForSigner', /has not signed it\. The pod goes on by itself once that is done\./],
  },
  {
    notice: { ...credential, type: 'answered', requestName, tookMs: 50 },
    line: { level: 'debug', message: 'certificate accepted', request: 'pc-1', tookMs: 50 },
    series: ['request_outcomes_total{S,outcome="issued",reason="Issued"} 1'],
  },
  {
    notice: {
      ...credential,
      type: 'denied',
      requestName,
      reason: 'Policy',
      message: 'not you\nnor me',
      retryAt: moment,
    },
    line: {
      level: 'warn',
      message: 'the signer denied the request',
      request: 'pc-1',
      reason: 'Policy',
      detail: 'not you\nnor me',
      retryAt: '2026-11-22T10:00:00.123Z',
    },
    series: ['request_outcomes_total{S,outcome="denied",reason="Policy"} 1', 'retries_total{S,cause="denied"} 1'],
    event: [
      'Warning',
      'Denied',
      /denied request shop\/pc-1: Policy: not you nor me\. Correct .* at 2026-11-22T10:00:00Z and/,
    ],
  },
  {
    notice: { ...credential, type: 'failed', requestName, reason: '', message: '', retryAt: moment },
    line: {
      level: 'warn',
      message: 'the signer failed the request',
      request: 'pc-1',
      reason: '',
      detail: '',
      retryAt: '2026-11-22T10:00:00.123Z',
    },
    series: ['request_outcomes_total{S,outcome="failed",reason="none"} 1', 'retries_total{S,cause="failed"} 1'],
    event: [
      'Warning',
      'Failed',
      /failed request shop\/pc-1: no message\. Correct the source, or ask whoever runs the signer/,
    ],
  },
  {
    notice: { ...credential, type: 'keyTypeSuggested', suggested: 'ED25519', followed: false },
    line: { level: 'warn', message: 'signer suggests another key type', suggested: 'ED25519', followed: false },
    series: [],
    event: [
      'Warning',
      'UnsupportedKeyType',
      /does not take ECDSAP256 keys and suggests ED25519\. Set keyType: ED25519 in/,
    ],
  },
  {
    notice: { ...credential, type: 'keyTypeSuggested', suggested: 'ED25519', followed: true },
    line: { level: 'warn', message: 'signer suggests another key type', suggested: 'ED25519', followed: true },
    series: [],
    event: ['Normal', 'UnsupportedKeyType', /The agent goes on with ED25519; set keyType to it in the source/],
  },
  ...(['deleted', 'unanswered', 'outdated'] as const).map(
    (why): Row => ({
      notice: { ...credential, type: 'requestLost', requestName, why, retryAt: moment },
      line: {
        level: 'warn',
        message: 'request lost',
        request: 'pc-1',
        reason: why,
        retryAt: '2026-11-22T10:00:00.123Z',
      },
      series: [`request_outcomes_total{S,outcome="lost",reason="${why}"} 1`, 'retries_total{S,cause="lost"} 1'],
      event: ['Warning', 'RequestLost', /was (deleted|never answered|answered, but).*ask the cluster operator/],
    }),
  ),
  {
    notice: { ...credential, type: 'refreshOverdue', refreshAt: moment, notAfter: later },
    line: { level: 'warn', message: 'certificate overdue for refresh', notAfter: '2026-11-23T10:00:00.000Z' },
    series: ['refresh_overdue_total{S} 1'],
    event: ['Warning', 'CertificateOverdueForRefresh', /expires at 2026-11-23T10:00:00Z\. The agent keeps trying; ask/],
  },
  {
    notice: { ...credential, type: 'expired', notAfter: later },
    line: { level: 'error', message: 'certificate expired', notAfter: '2026-11-23T10:00:00.000Z' },
    series: ['expired_total{S} 1'],
    event: ['Warning', 'CertificateExpired', /expired at 2026-11-23T10:00:00Z\. The agent keeps trying; ask/],
  },
  {
    notice: {
      ...credential,
      type: 'notYetValid',
      requestName: 'pc-1',
      notBefore: later,
      aheadMs: 90_000,
      until: later,
    },
    line: {
      level: 'warn',
      message: 'certificate not valid yet, clocks differ',
      request: 'pc-1',
      notBefore: '2026-11-23T10:00:00.000Z',
      aheadMs: 90_000,
      writtenAt: '2026-11-23T10:00:00.000Z',
    },
    series: ['not_yet_valid_total{S} 1'],
    event: [
      'Warning',
      'ClocksDiffer',
      /valid from 2026-11-23T10:00:00Z on, by this node's clock 90 s from now\. It is/,
    ],
  },
  {
    notice: { ...credential, type: 'trustMismatch', anchors: 2, since: moment, refreshAt: later },
    line: {
      level: 'warn',
      message: "chain leads to none of its signer's trust anchors",
      certificates: 2,
      since: '2026-11-22T10:00:00.123Z',
      refreshAt: '2026-11-23T10:00:00.000Z',
    },
    series: [],
    event: [
      'Warning',
      'TrustMismatch',
      /does not lead to any of the 2 trust anchors of .* publish the CA that it signs with .* at 2026-11-23T10:00:00Z\.$/,
    ],
  },
  {
    notice: { ...credential, type: 'trustMismatchOver', leads: true, anchors: 1 },
    line: { level: 'info', message: 'chain leads to a trust anchor again', certificates: 1 },
    series: [],
    event: ['Normal', 'TrustRestored', /leads to a trust anchor in this volume again\. Nothing needs to be done\.$/],
  },
  {
    notice: { ...credential, type: 'trustMismatchOver', leads: false, anchors: 0 },
    line: { level: 'info', message: 'chain has no trust anchors to be compared with', certificates: 0 },
    series: [],
  },
  {
    notice: { ...credential, type: 'adopted', notAfter: later, refreshAt: moment },
    line: {
      level: 'info',
      message: 'certificate adopted',
      notAfter: '2026-11-23T10:00:00.000Z',
      refreshAt: '2026-11-22T10:00:00.123Z',
    },
    series: [],
  },
  {
    notice: { ...credential, type: 'resumed', requestName },
    line: { level: 'info', message: 'request resumed', request: 'pc-1' },
    series: [],
  },
  {
    notice: { ...credential, type: 'expired', notAfter: later, podEnded: 'gone' },
    line: {
      level: 'error',
      message: 'certificate expired',
      notAfter: '2026-11-23T10:00:00.000Z',
      podEnded: 'gone',
    },
    series: ['expired_total{S} 1'],
    event: [
      'Warning',
      'CertificateExpired',
      /expired at .* It is not renewed because, by what the API server says, this/,
    ],
  },
  {
    notice: { ...credential, type: 'podEnded', why: 'finished', recheckAt: moment },
    line: {
      level: 'info',
      message: 'pod has ended, no more refreshes',
      reason: 'finished',
      recheckAt: '2026-11-22T10:00:00.123Z',
    },
    series: [],
    event: [
      'Normal',
      'RefreshStopped',
      /phase is Succeeded or Failed; .* no longer renewed\. The agent checks again at/,
    ],
  },
  {
    notice: { ...credential, type: 'podEnded', why: 'gone', notAfter: later, recheckAt: moment },
    line: {
      level: 'warn',
      message: 'pod has ended, no more refreshes',
      reason: 'gone',
      notAfter: '2026-11-23T10:00:00.000Z',
      recheckAt: '2026-11-22T10:00:00.123Z',
    },
    series: [],
    event: [
      'Warning',
      'RefreshStopped',
      /does not exist any more; the certificate .* valid until 2026-11-23T10:00:00Z,/,
    ],
  },
  {
    notice: { ...credential, type: 'podLives' },
    line: { level: 'warn', message: 'pod is alive after all, its certificate is refreshed again' },
    series: [],
    event: ['Warning', 'RefreshResumed', /was taken for ended and is alive; its certificate .* is renewed again/],
  },
  {
    notice: { ...anchors, type: 'anchorsProjected', first: true, certificates: 2 },
    line: { level: 'info', message: 'trust anchors written', first: true, certificates: 2 },
    series: ['trust_anchor_writes_total{occasion="first"} 1'],
  },
  {
    notice: { ...anchors, type: 'anchorsProjected', first: false, certificates: 3 },
    line: { level: 'info', message: 'trust anchors changed', first: false, certificates: 3 },
    series: ['trust_anchor_writes_total{occasion="change"} 1'],
  },
  {
    notice: { ...anchors, type: 'anchorsMissing', message: 'no ClusterTrustBundle named "x"' },
    line: { level: 'warn', message: 'trust anchors missing', detail: 'no ClusterTrustBundle named "x"' },
    series: ['trust_anchor_failures_total{error="missing"} 1'],
    event: [
      'Warning',
      'TrustBundleMissing',
      /sources\[1\]: no ClusterTrustBundle named "x"\. Correct the source, or ask whoever runs the/,
    ],
  },
  {
    notice: { ...anchors, type: 'anchorsMissing', message: 'signer "x" has no bundle', kept: true },
    line: { level: 'warn', message: 'trust anchors missing', detail: 'signer "x" has no bundle' },
    series: ['trust_anchor_failures_total{error="missing"} 1'],
    event: [
      'Warning',
      'TrustBundleMissing',
      /sources\[1\]: signer "x" has no bundle\. The trust anchors in the volume stay as they are\. Correct (?!.*optional)/,
    ],
  },
  {
    notice: { ...credential, type: 'waitingForSigner', requestName, waitedMs: 10_000, notAfter: later },
    line: { level: 'warn', message: 'waiting for the signer', request: 'pc-1', waitedMs: 10_000 },
    series: ['slow_requests_total{S} 1'],
    event: [
      'Normal',
      'WaitingForSigner',
      /for 10 s\. The certificate in the volume serves until 2026-\S+Z\. If this lasts, .* The signer's own log may tell why/,
    ],
  },
  {
    notice: { ...anchors, type: 'anchorsRefused', message: 'the source selects 300 ClusterTrustBundles' },
    line: {
      level: 'warn',
      message: 'trust anchors cannot be used',
      detail: 'the source selects 300 ClusterTrustBundles',
    },
    series: ['trust_anchor_failures_total{error="refused"} 1'],
    event: [
      'Warning',
      'TrustBundleUnusable',
      /sources\[1\]: the source selects 300 ClusterTrustBundles\. There is no bundle to create/,
    ],
  },
  {
    notice: { ...anchors, type: 'anchorsExpired', expired: 2, dropped: false },
    line: { level: 'warn', message: 'trust anchors have expired', certificates: 2 },
    series: ['trust_anchor_expiries_total{outcome="kept"} 1'],
    event: [
      'Warning',
      'TrustAnchorsExpired',
      /sources\[1\]: 2 of the trust anchors selected have expired and stay in the file\./,
    ],
  },
  {
    notice: { ...anchors, type: 'anchorsExpired', expired: 1, dropped: true },
    line: { level: 'warn', message: 'expired trust anchors left out', certificates: 1 },
    series: ['trust_anchor_expiries_total{outcome="dropped"} 1'],
    event: [
      'Warning',
      'TrustAnchorsExpired',
      /one of the trust anchors selected has expired and is left out of the file/,
    ],
  },
  {
    notice: { ...anchors, type: 'anchorsNotWritten', error: error('Internal', 'no space'), retryAt: moment },
    line: {
      level: 'warn',
      message: 'trust anchors not written',
      error: 'no space',
      errorCode: 'Internal',
      retryAt: '2026-11-22T10:00:00.123Z',
    },
    series: ['trust_anchor_failures_total{error="Internal"} 1'],
    event: [
      'Warning',
      'FilesNotWritten',
      /the trust anchors could not be written: no space\. The files stay .* ask the cl/,
    ],
  },
  {
    notice: { volume, type: 'publishing' },
    line: {
      level: 'info',
      message: 'volume requested by the kubelet',
      volumeId: 'csi-1',
      targetPath: volume.targetPath,
    },
    series: [],
  },
  {
    notice: { volume, type: 'published', tookMs: 200 },
    line: { level: 'info', message: 'volume ready', volumeId: 'csi-1', tookMs: 200 },
    series: ['publish_duration_seconds_sum 0.2', 'publish_duration_seconds_count 1'],
  },
  {
    notice: { volume, type: 'unpublished' },
    line: { level: 'info', message: 'volume removed', volumeId: 'csi-1' },
    series: [],
  },
  {
    notice: { volume, type: 'healed', reason: 'volume.json is unusable' },
    line: {
      level: 'warn',
      message: 'volume made anew from its pod and taken up',
      volumeId: 'csi-1',
      targetPath: volume.targetPath,
      detail: 'volume.json is unusable',
    },
    series: ['volumes_healed_total 1'],
    event: [
      'Warning',
      'VolumeMadeAnew',
      /volume "mtls": it was damaged and is made anew.*volume\.json is unusable\. Its cert/,
    ],
  },
  {
    notice: { volume, type: 'mountedBySubPath', containers: ['app', 'a', 'b', 'c', 'd'] },
    line: {
      level: 'warn',
      message: 'volume is mounted by subPath, its pod sees no renewal',
      volumeId: 'csi-1',
      detail: 'app, a, b, c, d',
    },
    series: [],
    event: [
      'Warning',
      'MountedBySubPath',
      /^volume "mtls": mounted with subPath by app, a, b, 2 more, which will not see a renewal: .* Mount the whole volume/,
    ],
  },
  {
    notice: { volume, type: 'reloaded', way: 'http', attempts: 2, detail: 'POST to port 8080 was answered with 200' },
    line: {
      level: 'info',
      message: 'program told of new files',
      volumeId: 'csi-1',
      way: 'http',
      attempts: 2,
      detail: 'POST to port 8080 was answered with 200',
    },
    series: ['reloads_total{way="http",outcome="done"} 1'],
    event: ['Normal', 'Reloaded', /^volume "mtls": .* answered with 200\. Nothing needs to be done\.$/],
  },
  {
    notice: { volume, type: 'servesCurrent', afterMs: 15_000, wasTold: false },
    line: {
      level: 'info',
      message: 'program serves the certificate in its files',
      volumeId: 'csi-1',
      waitedMs: 15_000,
    },
    series: [],
  },
  {
    notice: { volume, type: 'servesCurrent', afterMs: 15_000, wasTold: true },
    line: {
      level: 'info',
      message: 'program serves the certificate in its files',
      volumeId: 'csi-1',
      waitedMs: 15_000,
    },
    series: [],
    event: [
      'Normal',
      'NewCertificateServed',
      /^volume "mtls": the program serves the certificate in its files now\. Nothing/,
    ],
  },
  {
    notice: { volume, type: 'servesOther', since: moment, serialNumber: '0A', notAfter: later, hasExpired: false },
    line: {
      level: 'warn',
      message: 'program does not serve the certificate in its files',
      volumeId: 'csi-1',
      since: '2026-11-22T10:00:00.123Z',
      serial: '0A',
      notAfter: '2026-11-23T10:00:00.000Z',
    },
    series: [],
    event: [
      'Warning',
      'OldCertificateServed',
      /^volume "mtls": its files changed at 2026-11-22T10:00:00Z, and the program still serves certificate 0A, which expires at .* by reload/,
    ],
  },
  {
    notice: { volume, type: 'notSeen', since: moment, detail: 'ECONNREFUSED' },
    line: {
      level: 'warn',
      message: 'it cannot be seen what the program serves',
      volumeId: 'csi-1',
      since: '2026-11-22T10:00:00.123Z',
      detail: 'ECONNREFUSED',
    },
    series: [],
    event: [
      'Warning',
      'ProbeFailed',
      /^volume "mtls": .* serves them: ECONNREFUSED\. Compare probe .* The agent goes on looking\.$/,
    ],
  },
  {
    notice: { volume, type: 'notReloaded', way: 'http', attempts: 2, detail: 'it failed', retryAt: later },
    line: {
      level: 'warn',
      message: 'program not told of new files yet',
      volumeId: 'csi-1',
      way: 'http',
      attempts: 2,
      detail: 'it failed',
      retryAt: '2026-11-23T10:00:00.000Z',
    },
    series: ['reloads_total{way="http",outcome="failed"} 1'],
  },
  {
    notice: { volume, type: 'notReloaded', way: 'http', attempts: 8, detail: 'it failed' },
    line: {
      level: 'warn',
      message: 'program could not be told of new files',
      volumeId: 'csi-1',
      way: 'http',
      attempts: 8,
      detail: 'it failed',
    },
    series: ['reloads_total{way="http",outcome="given_up"} 1'],
    event: [
      'Warning',
      'NotReloaded',
      /^volume "mtls": .* in 8 attempts: it failed\. The files are in place; .* reload\.http in/,
    ],
  },
  {
    notice: { volume, type: 'notReloaded', way: 'signal', attempts: 0, detail: 'switched off' },
    line: {
      level: 'warn',
      message: 'program could not be told of new files',
      volumeId: 'csi-1',
      way: 'signal',
      attempts: 0,
      detail: 'switched off',
    },
    series: ['reloads_total{way="signal",outcome="given_up"} 1'],
    event: [
      'Warning',
      'NotReloaded',
      /^volume "mtls": the pod cannot be told of new files: switched off\. The files are/,
    ],
  },
  {
    notice: { volume, type: 'unusable', reason: 'volume.json is unusable' },
    line: {
      level: 'error',
      message: 'volume cannot be used, its certificates expire',
      volumeId: 'csi-1',
      targetPath: volume.targetPath,
      detail: 'volume.json is unusable',
    },
    series: [],
    event: [
      'Warning',
      'VolumeUnusable',
      /volume "mtls": it is not looked after: volume\.json is unusable\..*Replace the pod/,
    ],
  },
];

/** What the line carries because of its subject alone. */
function subjectOf(notice: Notice): Entry {
  const { signerName, keyType, source, ...pod } = credentialFields;
  if ('signerName' in notice) {
    return { ...pod, source, signerName, keyType };
  }
  return 'source' in notice ? { ...pod, source: 1 } : pod;
}

describe('a notice', () => {
  for (const { notice, line, series: expectedSeries, event } of rows) {
    test(`of type ${notice.type} becomes one line (${String(line['message'])}), its metrics and ${event?.[1] ?? 'no'} event`, async () => {
      const { report, entries, events, series } = open();
      report(notice);
      const [entry, ...more] = entries();
      assert.deepEqual(more, []);
      const { time, stack, ...rest } = entry ?? {};
      assert.ok(time, 'there is no time');
      assert.equal(stack === undefined, line['errorCode'] !== 'Internal');
      assert.deepEqual(rest, { ...subjectOf(notice), ...line });
      assert.deepEqual(await series(), expectedSeries);
      assert.deepEqual(
        events.map(({ type, reason, pod }) => [type, reason, pod]),
        event === undefined ? [] : [[event[0], event[1], volume.pod]],
      );
      if (event !== undefined) {
        assert.match(events[0]?.message ?? '', event[2]);
        assert.match(events[0]?.message ?? '', /^volume "mtls"( sources\[\d\])?: /);
      }
    });
  }

  test('of a certificate that reached the files observes every phase, for first certificates and renewals apart', async () => {
    const { report, entries, events, series } = open();
    const projected = {
      ...credential,
      type: 'projected' as const,
      requestName,
      serialNumber: '0A1B',
      notBefore: moment,
      notAfter: later,
      refreshAt: later,
      writeMs: 2,
      totalMs: 80,
    };
    for (const first of [true, false]) {
      report({ ...credential, type: 'keyMade', requestName, tookMs: 5 });
      report({ ...credential, type: 'requested', requestName, tookMs: 20 });
      report({ ...credential, type: 'answered', requestName, tookMs: 50 });
      report({ ...projected, first });
    }
    const sums = (await series()).filter((line) => /_duration_seconds_sum/.test(line));
    const labels = (phase: string): string => `{S,key_type="ECDSAP256",phase="${phase}"}`;
    const durations = { key: 0.005, request: 0.02, signer: 0.05, write: 0.002, total: 0.08 };
    assert.deepEqual(
      sums.toSorted(),
      [
        ...Object.entries(durations).flatMap(([phase, seconds]) => [
          `first_certificate_duration_seconds_sum${labels(phase)} ${seconds}`,
          `renewal_duration_seconds_sum${labels(phase)} ${seconds}`,
        ]),
        'propagation_duration_seconds_sum 0.004',
      ].toSorted(),
    );
    const written = entries().filter(({ serial }) => serial === '0A1B');
    assert.deepEqual(
      written.map(({ message, level, first, tookMs, notAfter }) => [message, level, first, tookMs, notAfter]),
      [
        ['certificate written', 'info', true, 80, '2026-11-23T10:00:00.000Z'],
        ['certificate renewed', 'info', false, 80, '2026-11-23T10:00:00.000Z'],
      ],
    );
    assert.deepEqual(
      events.map(({ type, reason }) => [type, reason]),
      [
        ['Normal', 'Issued'],
        ['Normal', 'Rotated'],
      ],
    );
    assert.match(
      events[0]?.message ?? '',
      /0A1B from example\.com\/mesh is in the volume, valid until 2026-11-23T10:00:00Z/,
    );
    assert.match(events[1]?.message ?? '', /Programs that do not watch their files/);
  });

  test('of a certificate whose phases lie in an earlier run observes what is known', async () => {
    const { report, series } = open();
    const { report: reportElsewhere } = open();
    reportElsewhere({ ...credential, type: 'keyMade', requestName, tookMs: 5 });
    report({ ...credential, type: 'resumed', requestName });
    report({ ...credential, type: 'answered', requestName, tookMs: 50 });
    const times = { notBefore: moment, notAfter: later, refreshAt: later, writeMs: 2, totalMs: 80 };
    report({ ...credential, type: 'projected', requestName, first: true, serialNumber: '1', ...times });
    const phases = (await series()).flatMap((line) => /first_.*_count.*phase="(\w+)"/.exec(line)?.[1] ?? []);
    assert.deepEqual(phases.toSorted(), ['signer', 'total', 'write']);
  });

  test('of a removed volume makes its phases forgotten, and a new key those of the attempt before', async () => {
    const { report, series } = open();
    const times = { notBefore: moment, notAfter: later, refreshAt: later, writeMs: 2, totalMs: 80 };
    report({ ...credential, type: 'requested', requestName, tookMs: 20 });
    report({ volume, type: 'unpublished' });
    report({ ...credential, type: 'requested', requestName, tookMs: 20 });
    report({ ...credential, type: 'keyMade', requestName, tookMs: 5 });
    report({ ...credential, type: 'projected', requestName, first: true, serialNumber: '1', ...times });
    const phases = (await series()).flatMap((line) => /first_.*_count.*phase="(\w+)"/.exec(line)?.[1] ?? []);
    assert.deepEqual(phases.toSorted(), ['key', 'total', 'write']);
  });

  test('never makes the memory grow, even when volumes are never said to be removed', async () => {
    const { report, series } = open();
    const times = { notBefore: moment, notAfter: later, refreshAt: later, writeMs: 2, totalMs: 80 };
    for (let index = 0; index <= 4_096; index += 1) {
      const other = { ...volume, volumeId: `csi-${index}` };
      report({ ...credential, volume: other, type: 'requested', requestName, tookMs: 20 });
    }
    for (const volumeId of ['csi-0', 'csi-4096']) {
      const other = { ...volume, volumeId };
      report({
        ...credential,
        volume: other,
        type: 'projected',
        requestName,
        first: true,
        serialNumber: '1',
        ...times,
      });
    }
    const counts = (await series()).filter((line) => /first_.*_count/.test(line));
    assert.deepEqual(counts.map((line) => line.replace(/.*phase=/, '')).toSorted(), [
      '"request"} 1',
      '"total"} 2',
      '"write"} 2',
    ]);
  });
});

describe('a failed attempt', () => {
  const expected: Readonly<Record<ErrorCode, string | undefined>> = {
    Rejected: 'RequestRejected',
    Forbidden: 'RequestForbidden',
    AccountForbidden: 'AccountForbidden',
    TokenMissing: 'TokenMissing',
    SignerNotAllowed: 'SignerNotAllowed',
    InvalidChain: 'InvalidChain',
    ApiMissing: 'CertificateAPIMissing',
    NotFound: 'ObjectMissing',
    Conflict: 'RequestConflict',
    Internal: 'AgentFault',
    Unavailable: undefined,
    PodGone: undefined,
    Aborted: undefined,
  };
  for (const [code, reason] of Object.entries(expected) as [ErrorCode, string | undefined][]) {
    test(`with ${code} is counted, logged and told to the pod as ${reason ?? 'nothing'}`, async () => {
      const { report, entries, events, series } = open();
      const cause = new Error('the cause');
      const failure = new AgentError(code, 'what happened', { actor: 'cluster operator', cause });
      report({ ...credential, type: 'attemptFailed', phase: 'request', error: failure, retryAt: moment });
      const [entry] = entries();
      assert.deepEqual(
        [
          entry?.['message'],
          entry?.['phase'],
          entry?.['error'],
          entry?.['errorCode'],
          entry?.['actor'],
          entry?.['retryAt'],
        ],
        ['attempt failed', 'request', 'what happened: the cause', code, 'cluster operator', '2026-11-22T10:00:00.123Z'],
      );
      assert.deepEqual(await series(), [
        `attempt_failures_total{S,phase="request",error="${code}"} 1`,
        'retries_total{S,cause="error"} 1',
      ]);
      assert.deepEqual(
        events.map((event) => event.reason),
        reason === undefined ? [] : [reason],
      );
      if (reason !== undefined) {
        assert.match(
          events[0]?.message ?? '',
          /what happened: the cause\. .*[.;] .*tries again at 2026-11-22T10:00:00Z\.$/,
        );
      }
    });
  }

  test('to write the files is told as such', (_t) => {
    const { report, events } = open();
    report({
      ...credential,
      type: 'attemptFailed',
      phase: 'write',
      error: error('Internal', 'no space'),
      retryAt: moment,
    });
    assert.equal(events[0]?.reason, 'FilesNotWritten');
    assert.match(events[0]?.message ?? '', /the certificate could not be written: no space/);
  });
});

describe('the reporter', () => {
  test('keeps an event within what the API server accepts, in one line and without secrets', (_t) => {
    const { report, events } = open();
    const message = `${'long '.repeat(1_000)}\n-----BEGIN PRIVATE KEY-----\nAAAA`;
    report({ ...credential, type: 'denied', requestName, reason: 'R'.repeat(2_000), message, retryAt: moment });
    report({ ...credential, type: 'denied', requestName, reason: 'R', message: message.slice(4_900), retryAt: moment });
    for (const event of events) {
      assert.ok(event.message.length <= 1_024, `${event.message.length} is more than 1024`);
      assert.doesNotMatch(event.message, /\n|BEGIN|AAAA/);
    }
    assert.match(events[1]?.message ?? '', /\[redacted private key\]/);
  });

  test('keeps the end of an event, which says what to do, however long the names and messages in it are', (_t) => {
    const { report, events } = open();
    const long = 'x'.repeat(2_000);
    const wordy = { ...credential, signerName: `example.com/${long}` };
    report({ ...wordy, type: 'waitingForSigner', requestName, waitedMs: 10_000 });
    const hurdle = { turn: 'approver', text: long, detail: long } as const;
    report({ ...wordy, type: 'waitingForSigner', requestName, waitedMs: 10_000, hurdle, notAfter: later });
    report({ ...wordy, type: 'denied', requestName, reason: long, message: long, retryAt: moment });
    report({ ...wordy, type: 'requestLost', requestName, why: 'outdated', retryAt: moment });
    report({ ...wordy, type: 'attemptFailed', phase: 'request', error: error('Rejected', long), retryAt: moment });
    report({ ...anchors, type: 'anchorsMissing', message: long });
    assert.equal(events.length, 6);
    for (const { message } of events) {
      assert.match(message, /[a-z0-9Z]\.$/);
    }
  });

  test('goes on when the sink of events throws, and says so', (_t) => {
    const { report, entries } = open(() => {
      throw new Error('queue full');
    });
    report({ ...credential, type: 'expired', notAfter: later });
    assert.deepEqual(
      entries().map(({ message, error: text, reason }) => [message, text, reason]),
      [
        ['certificate expired', undefined, undefined],
        ['an event could not be queued', 'queue full', 'CertificateExpired'],
      ],
    );
  });

  test('takes times that are no moments', (_t) => {
    const { report, entries, events } = open();
    report({ ...credential, type: 'expired', notAfter: Number.NaN });
    report({ ...credential, type: 'adopted', notAfter: Number.POSITIVE_INFINITY, refreshAt: 9e15 });
    assert.deepEqual(
      entries().map(({ notAfter }) => notAfter),
      ['unknown', 'unknown'],
    );
    assert.match(events[0]?.message ?? '', /expired at unknown/);
  });
});

test('the first certificate is told with its names and with what is odd about it, a renewed one with its names', (_t) => {
  const { report, events } = open();
  const times = { notBefore: moment, notAfter: later, refreshAt: later, writeMs: 2, totalMs: 80 };
  const projected = { ...credential, type: 'projected', requestName, serialNumber: '0A', ...times } as const;
  const names = 'DNS:web.shop, URI:spiffe://example.com/ns/shop/sa/web';
  report({ ...projected, first: true, names });
  report({ ...projected, first: true });
  report({ ...projected, first: true, names: '' });
  report({ ...projected, first: true, names, isRefreshLate: true });
  report({ ...projected, first: false, names });
  report({ ...projected, first: false, names: '' });
  report({ ...projected, first: true, names: `${'DNS:long.example, '.repeat(500)}\nDNS:x`, isRefreshLate: true });
  assert.deepEqual(
    events.map(({ type, reason }) => `${type} ${reason}`),
    [
      'Normal Issued',
      'Normal Issued',
      'Warning Issued',
      'Warning Issued',
      'Normal Rotated',
      'Normal Rotated',
      'Warning Issued',
    ],
  );
  const [named, unknown, nameless, late, rotated, , long] = events.map(({ message }) => message);
  assert.match(
    named ?? '',
    /for DNS:web\.shop, URI:spiffe:\/\/example\.com\/ns\/shop\/sa\/web, valid until .* Nothing needs to be done\.$/,
  );
  assert.doesNotMatch(unknown ?? '', /alternative name|, for /);
  assert.match(
    nameless ?? '',
    /has no subject alternative name: .* Ask whoever runs the signer whether that is meant\.$/,
  );
  assert.match(late ?? '', /renewal begins in the last tenth of its lifetime/);
  assert.match(rotated ?? '', /for DNS:web\.shop/);
  assert.match(long ?? '', /whether that is meant\.$/);
});
