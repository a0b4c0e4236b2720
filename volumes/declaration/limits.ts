/**
 * How much one volume may ask for. Each limit keeps what a pod's author writes from costing other pods anything, is far
 * above what a workload needs, and is named in the message that refuses what lies beyond it.
 */

/** Bytes of the `sources` attribute. It bounds everything in it, `userAnnotations` included. */
export const maxSourcesBytes = 64 * 1024;
/** Bytes of the `reload` attribute, and of `probe`. */
export const maxAttributeBytes = 4 * 1024;
/** Characters of a process' name: Linux' TASK_COMM_LEN, without its end. */
export const maxProcessNameLength = 15;
/** Characters of the path that a reload asks for. */
export const maxReloadPathLength = 1024;
/** Sources in one volume. Kubernetes' own tests project 150. */
export const maxSources = 256;
/** Names of one kind that a source may ask for, and characters of one of them. */
export const maxRequestedNames = 32;
export const maxRequestedNameLength = 2048;
/** Labels, requirements and values of one label selector: each bundle of its signer is compared with all of them. */
export const maxSelectorParts = 256;
/** Keystores and truststores of one volume: each takes some ten milliseconds of the main thread whenever it changes. */
export const maxKeystores = 16;
/** Characters of a password that a pod gives. keytool takes none that is shorter. */
export const shortestPassword = 6;
export const longestPassword = 128;
/** Tokens of YAML, white space and line ends among them: what reading a text costs grows with them, not with its bytes. */
export const maxYamlTokens = 16_384;
/** Levels of nested lists and mappings. A source needs six. */
export const maxYamlDepth = 32;
/** Backslashes in the text: each may be an escape that has to be looked at, or refused. */
export const maxYamlBackslashes = 1024;
/** Parts of a path in the volume: each is a directory that is made, checked and removed with every change. */
export const maxPathParts = 16;
/** Bytes of a path: below Linux' PATH_MAX of 4096 by what stands before it, the kubelet's and the timestamp's directory. */
export const maxPathBytes = 3072;
/** Bytes of one part of a path: Linux' NAME_MAX. */
export const maxNameBytes = 255;
/** Declarations whose verdict is remembered, so that the kubelet's retries do not read them again. */
export const maxVerdicts = 128;
/** Sources of one volume that each keep the anchors of many trust domains apart: a pod has one SPIFFE identity, or a few. */
export const maxTrustDomainSources = 8;
