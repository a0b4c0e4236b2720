/**
 * The commands of docs/quickstart.md: each is a block of shell under a comment that says where it runs and, where that shows whether it
 * worked, what it prints.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../..');

/** What a block needs: tools of the reader's machine, or something of the cluster. */
export const places = ['kind', 'minikube', 'k3s', 'docker', 'cluster', 'nodes', 'cert-manager'] as const;

export type Place = (typeof places)[number];

export interface Block {
  /** Of the first command. */
  readonly line: number;
  readonly place: Place;
  /** Kubernetes from, or before, this minor version of 1. */
  readonly from?: number;
  readonly before?: number;
  /** Words that its output holds when it worked. */
  readonly prints?: string;
  readonly text: string;
}

const comment = /^<!-- run: ([\w-]+)(?: (from|before) 1\.(\d+))?(?:; prints: (.+))? -->$/;

/** @throws Error for a block that says not where it runs, or that never ends */
export function blocksIn(document: string): readonly Block[] {
  const lines = document.split('\n');
  return lines.flatMap((line, index) => {
    if (line !== '```sh') {
      return [];
    }
    const [, word, bound, minor, prints] = comment.exec(lines[index - 1] ?? '') ?? [];
    const place = places.find((known) => known === word);
    if (place === undefined) {
      throw new Error(`line ${index}: no comment says where this block runs: ${lines[index - 1]}`);
    }
    const end = lines.indexOf('```', index);
    if (end < 0) {
      throw new Error(`line ${index + 1}: the block never ends`);
    }
    const text = lines.slice(index + 1, end).join('\n');
    const versions = bound === undefined ? {} : { [bound]: Number(minor) };
    return [{ line: index + 2, place, ...versions, ...(prints === undefined ? {} : { prints }), text }];
  });
}

export const quickstart = (): string => readFileSync(join(root, 'docs/quickstart.md'), 'utf8');

/** What a machine and its cluster have. */
export interface Facts {
  readonly has: (program: string) => boolean;
  /** Minor version of the cluster's Kubernetes. */
  readonly minor: number;
  readonly hasReadyNode: boolean;
  readonly hasCertManager: boolean;
  /** Places beside the cluster whose blocks are wanted. */
  readonly wanted: readonly string[];
}

const programsOf: Readonly<Record<Place, readonly string[]>> = {
  kind: ['kind', 'docker'],
  minikube: ['minikube'],
  k3s: ['curl', 'sudo'],
  docker: ['npm', 'docker'],
  cluster: ['kubectl', 'helm'],
  nodes: ['kubectl', 'helm'],
  'cert-manager': ['kubectl'],
};

const ofCluster: readonly Place[] = ['cluster', 'nodes', 'cert-manager'];

/** Why a block is left out; undefined: it runs. */
export function reasonAgainst({ place, from, before }: Block, facts: Facts): string | undefined {
  if (!ofCluster.includes(place) && !facts.wanted.includes(place)) {
    return `not asked for: --with ${place}`;
  }
  const missing = programsOf[place].filter((program) => !facts.has(program));
  if (missing.length > 0) {
    return `${missing.join(' and ')} not found on PATH`;
  }
  if (from !== undefined && facts.minor < from) {
    return `for Kubernetes 1.${from} and newer, and the cluster is 1.${facts.minor}`;
  }
  if (before !== undefined && facts.minor >= before) {
    return `for Kubernetes before 1.${before}, and the cluster is 1.${facts.minor}`;
  }
  if (place === 'nodes' && !facts.hasReadyNode) {
    return 'no node of the cluster is ready';
  }
  return place === 'cert-manager' && !facts.hasCertManager ? "cert-manager's types are not installed" : undefined;
}
