/** How much a file of a volume's state may hold. A privileged container can write there what it likes, and each file is read in one go. */

/** Bytes: room for a request's chain and anchors of 100 KiB each, or a declaration of 64 KiB, with their JSON. */
export const maxStateBytes = 512 * 1024;
/** Commas, colons and brackets outside of strings: what reading JSON costs grows with them. A declaration has at most half as many. */
export const maxStateParts = 32_768;
/**
 * Characters of a text, by what the agent may have written there. What is read stays in memory, for each of hundreds of sources, and one file
 * costs a container nothing more under hundreds of names.
 */
export const maxTextLengths = {
  /** Of an object of Kubernetes, and whatever has an ID. */
  name: 253,
  /** A domain, a slash, a namespace, a dot and a name. */
  signerName: 571,
  /** A signer's name, a colon and a name. */
  bundleName: 825,
  /** A domain, a slash and a name. */
  labelKey: 317,
  labelValue: 63,
  /** The longest path that Linux takes. */
  path: 4096,
  /** A digest, or the name of a set of files. */
  mark: 64,
  /** Base64 of what a keystore was made with. */
  randomness: 256,
  /** Base64. */
  publicKey: 4096,
} as const;
/** Ways of telling a pod's programs of which it is kept when they were told. */
export const maxWays = 16;
