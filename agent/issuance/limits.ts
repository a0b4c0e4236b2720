/** What the tokens of pods' service accounts may cost. docs/security.md lists every row with what happens beyond it. */

/** Longest token, in characters. Those of Kubernetes have about a thousand. */
export const maxTokenLength = 16_384;
/** Longest hand-over of the kubelet, in characters: a token for each audience. */
export const maxHandOverLength = 131_072;
/** Pods whose handed tokens are held; the kubelet hands them over again within two minutes. */
export const maxPodsWithTokens = 1_024;
