/**
 * How much of what others say is kept in a volume. Whoever writes it keeps to this, and whoever reads it takes more for damage: a
 * privileged container can write into its volume what it likes.
 */

/** Bytes of PEM of an issued chain, the API server's bound on `status.certificateChain`, and of trust anchors that come with one. */
export const longestChainBytes = 100 * 1024;
/** Certificates in a chain, those that are in it twice counted twice, and anchors that come with it. Real chains have up to five. */
export const mostCertificates = 32;
/** Characters of a serial number. RFC 5280 lets it have 40 hexadecimal digits. */
export const longestSerialNumber = 128;
/** Characters of what a signer says: it may be of any length. */
export const longestSignerText = 1024;
/** Addresses of a pod, of which Kubernetes has two, and characters of one, zone included. */
export const mostPodAddresses = 16;
export const longestAddress = 64;
