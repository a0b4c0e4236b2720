/** A volume with real files in a directory, and what looks after it, for the tests of this room; the clock is the test's. */
import assert from 'node:assert/strict';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { inspect } from 'node:util';
import type { PodDirectory, PodIdentity } from '../../../agent/lifecycle/ports.ts';
import type { UptakeNotice, VolumeUptake } from '../../../agent/lifecycle/uptake.ts';
import { createUptake, type UptakeOptions } from '../../../agent/uptake/uptake.ts';
import type { OpenVolume, PodReference } from '../../../volumes/base/volume.ts';
import type { VolumeDeclaration } from '../../../volumes/declaration/types.ts';
import { createVolumeStore } from '../../../volumes/store.ts';
import { boundMs, eventOf, until } from '../../support/bounded.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';
import {
  anchors,
  anchorsSource,
  certificateSource,
  makeRecord,
  makeTarget,
  someCertificate,
  temporaryDirectory,
} from '../../volumes/support.ts';

export interface Setting {
  readonly clock: ManualClock;
  readonly volume: OpenVolume;
  readonly uptake: VolumeUptake;
  readonly notices: UptakeNotice[];
  readonly faults: unknown[];
  /** Pods that were looked up. */
  readonly asked: PodReference[];
  /** Changes the files, and says so. @param leaf DER, where the volume holds a certificate */
  change(leaf?: Uint8Array): Promise<void>;
  /** The next run of the agent, with the same volume. */
  restart(): VolumeUptake;
  /** Resolves when so many notices have come. */
  noticed(count: number): Promise<void>;
}

const start = Date.UTC(2026, 10, 21);
/** @param identify what the API server says of the pod; throws where it says nothing */
export async function createSetting(
  t: TestContext,
  asked: Pick<VolumeDeclaration, 'reload' | 'probe'>,
  options: Partial<UptakeOptions> & { readonly identify?: (pod: PodReference) => Partial<PodIdentity> } = {},
): Promise<Setting> {
  const clock = createManualClock(start);
  const kubeletRoot = temporaryDirectory(t);
  const store = createVolumeStore({ kubeletRoot, driverName: 'csi.test', mode: 'directory', now: clock.now });
  const sources = asked.probe === undefined ? [{ ...anchorsSource, index: 0 }] : [certificateSource];
  const declaration = { sources, ...asked };
  const volume = await store.create(makeRecord(makeTarget(kubeletRoot), { declaration }));
  const notices: UptakeNotice[] = [];
  const faults: unknown[] = [];
  const pods: PodReference[] = [];
  let count = 0;

  const restart = (): VolumeUptake => {
    const uptake = createUptake({
      clock,
      random: () => 0.5,
      onFault: (fault) => void faults.push(fault),
      addressOf: ({ podIPs: [ip = '127.0.0.1'] = [] }) => ({ type: 'known', ip }),
      pods: {
        async identify(pod) {
          pods.push(pod);
          return { ...(await known(pod)), ...options.identify?.(pod) };
        },
      },
      ...options,
    })(volume, (notice) => void notices.push(notice));
    if (uptake === undefined) {
      throw new TypeError('nothing is asked for');
    }
    t.after(() => uptake.stop());
    return uptake;
  };

  const setting: Setting = {
    clock,
    volume,
    uptake: restart(),
    notices,
    faults,
    asked: pods,
    async change(leaf) {
      count += 1;
      if (leaf === undefined) {
        await volume.project(new Map([[0, anchors(count)]]));
      } else {
        const privateKey = new Uint8Array(48).fill(count);
        await volume.project(new Map([[0, { kind: 'credential', privateKey, certificates: [leaf] }]]));
        await volume.saveCurrent(0, someCertificate, [leaf]);
      }
      setting.uptake.settled();
      // Alarms ring when the clock moves.
      clock.advance(0);
    },
    restart,
    noticed: (wanted) =>
      until(
        () => notices.length >= wanted,
        () => `${wanted} notices; there are ${notices.map(({ type }) => type).join(', ')}`,
      ),
  };
  return setting;
}

export type CrowdOptions = Partial<Pick<UptakeOptions, 'turnMs'> & Pick<PodDirectory, 'identify'>>;

/** Volumes of many pods, without files, all looked after by one agent; nothing is done before the clock moves. */
export function createCrowd(t: TestContext, { turnMs, identify = known }: CrowdOptions = {}) {
  const clock = createManualClock();
  const uptake = createUptake({
    clock,
    random: () => 0.5,
    attemptMs: boundMs,
    ...(turnMs === undefined ? {} : { turnMs }),
    onFault: (fault) => assert.fail(inspect(fault)),
    addressOf: () => ({ type: 'known', ip: '127.0.0.1' }),
    pods: { identify },
  });
  const notices: (UptakeNotice & { readonly uid: string })[] = [];

  /** @param leaf DER, of the certificate in the files */
  function uptakeOf(uid: string, asked: Pick<VolumeDeclaration, 'reload' | 'probe'>, leaf?: Uint8Array): VolumeUptake {
    const steps = ['http', 'probe'];
    let done: Readonly<Record<string, string>> = Object.fromEntries(steps.map((step) => [step, 'one']));
    const record = makeRecord('/x', {
      pod: { namespace: 'n', name: uid, uid, serviceAccountName: 'd' },
      declaration: { sources: leaf === undefined ? [] : [certificateSource], ...asked },
    });
    const volume = {
      record,
      generation: () => 'two',
      isInPlace: () => true,
      currentChain: () => leaf && [leaf],
      uptake: () => done,
      saveUptake(saved: typeof done) {
        done = saved;
      },
    };
    const one = uptake(Object.assign(Object.create(null), volume), (notice) => void notices.push({ ...notice, uid }));
    if (one === undefined) {
      throw new TypeError('nothing is asked for');
    }
    t.after(() => one.stop());
    return one;
  }

  return { clock, notices, uptakeOf };
}

async function known(pod: PodReference): Promise<PodIdentity> {
  const node = { nodeName: 'node-a', nodeUID: 'node' };
  return { pod, serviceAccountUID: 'sa', ...node, ended: false, podIPs: ['127.0.0.1'] };
}

/** A port of this machine at which the server listens until the test ends, with all its connections. */
export async function listening(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await eventOf(server, 'listening', 'the server');
  t.after(() => {
    server.close();
    for (const socket of sockets) {
      socket.destroy();
    }
  });
  return (server.address() as AddressInfo).port;
}
