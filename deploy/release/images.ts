/**
 * The images that a release has, and what each is called: chart, documents, manifests and the release take their names from
 * here, and a test compares them.
 */

/**
 * Where images and chart are, unless a release says otherwise. `.example` is reserved (RFC 2606), so that nobody can come to own
 * the name and serve something under it: whoever publishes a release names a registry of theirs.
 */
export const defaultRegistry = 'registry.example';

/** One image. */
export interface Image {
  /** Last part of its name, and the command that `kubectl exec` finds in it. */
  readonly name: string;
  /** The stage of the Dockerfile that makes it. */
  readonly target: string;
  /** Which of the bundle's files it holds. The first is what the command runs. */
  readonly programs: readonly [string, ...string[]];
  /** Whether it mounts, for which it holds koffi, another one for each processor. */
  readonly mounts: boolean;
  /** Where the chart's values name it: the path of a mapping with `repository` and `digest`. */
  readonly chartValue: readonly string[];
}

/** In the order of the Dockerfile's stages; the last one is what a build without a target makes. */
export const images: readonly Image[] = [
  {
    name: 'pod-certificate-trial-signer',
    target: 'signer',
    programs: ['signer.mjs'],
    mounts: false,
    chartValue: ['trialSigner', 'image'],
  },
  {
    name: 'pod-certificate-agent',
    target: 'agent',
    programs: ['agent.mjs', 'probe.mjs', 'handshake.mjs', 'second-opinion.mjs'],
    mounts: true,
    chartValue: ['image'],
  },
];

/** Processors that images are made for, as the OCI names them. */
export const architectures = ['amd64', 'arm64'] as const;

export type Architecture = (typeof architectures)[number];

/** An image's name without a tag, such as `registry.example/pod-certificate-agent`. */
export function repositoryOf(image: Image, registry: string): string {
  return `${registry}/${image.name}`;
}
