/** Pods by number, many of them: for what is measured on an agent that has them already. */
import type { PodOfBench } from './api-server-calls.ts';
import { type BenchNode, eachOf, podOf, startPod } from './node.ts';

export function podNumber(index: number): PodOfBench {
  return podOf(`pod-${index}`);
}

/** Starts the pods of these numbers. @param until the first that is not started */
export async function startPods(
  node: BenchNode,
  from: number,
  until: number,
  pod: (index: number) => PodOfBench = podNumber,
): Promise<void> {
  const pods = Array.from({ length: until - from }, (_, offset) => pod(from + offset));
  await eachOf(pods, (each) => startPod(node, each));
}
