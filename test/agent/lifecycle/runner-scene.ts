/** One volume that lies in memory and is looked after, with plain objects around it. */
import { createOneATurn } from '../../../agent/base/one-a-turn.ts';
import { runVolume, type VolumeDependencies, type VolumeRunner } from '../../../agent/lifecycle/volume-runner.ts';
import type { ClusterTrustBundleSource, Source } from '../../../volumes/declaration/types.ts';
import { createMemoryVolume, type MemoryVolume } from './memory-volume.ts';
import { createNodeScene, type NodeScene } from './node-scene.ts';
import { podCertificate, recordWith, trustBundle } from './plain.ts';

export interface RunnerScene extends NodeScene {
  readonly volume: MemoryVolume;
  runner: VolumeRunner;
  /** Lets the agent's next run take the volume up. */
  restart(): Promise<void>;
}

export const certificate = podCertificate(0, 'tls.pem');
export const bundle = trustBundle(1, 'ca.pem') as ClusterTrustBundleSource;
export const both: readonly Source[] = [certificate, bundle];

export function startRunner(
  sources: readonly Source[],
  prepare: (scene: Omit<RunnerScene, 'runner'>) => void = () => undefined,
  change: (dependencies: VolumeDependencies) => VolumeDependencies = (dependencies) => dependencies,
): RunnerScene {
  const node = createNodeScene();
  const oneATurn = createOneATurn((fault) => node.dependencies.onFault(fault, 'a fault in a turn'));
  const volume = createMemoryVolume(recordWith(sources));
  const run = (): VolumeRunner => runVolume(volume, change(scene.dependencies), oneATurn);
  const scene = Object.assign(node, {
    volume,
    async restart() {
      scene.runner.stop();
      scene.runner = run();
      await scene.settle();
    },
  }) as RunnerScene;
  prepare(scene);
  return Object.assign(scene, { runner: run() });
}
