/**
 * How much of the agent those on the network can take up at most. docs/security.md lists every row with what happens
 * beyond it.
 */

/** Connections to the address for metrics, health and status, all peers together. */
export const maxConnections = 256;
/** Connections of one peer: an IPv4 address, or an IPv6 network of 64 bits. */
export const maxConnectionsOfPeer = 16;
/** How long a connection may take for its TLS handshake, and then for the head of a request. */
export const headTimeoutMs = 5_000;
/** Longest head of a request, in bytes; a bearer token is a part of it. */
export const maxHeadBytes = 8_192;

/** Longest bearer token that is no JWT, in characters. */
export const maxOpaqueTokenLength = 2_048;
/** Answers about tokens that are remembered, of each kind: those that let in, and those that do not. */
export const maxRememberedAnswers = 256;
/** Reviews under way for tokens that were never good: all together, and for one peer. */
export const maxReviewsUnderWay = 6;
export const maxReviewsUnderWayOfPeer = 2;
/** Reviews of tokens that were never good: so many at once for one peer, then one in so many milliseconds. */
export const reviewsOfPeer = { burst: 8, everyMs: 5_000 } as const;
/** The same for all peers together that never showed a good token. */
export const reviewsOfStrangers = { burst: 20, everyMs: 1_000 } as const;
/** Peers whose reviews are counted. */
export const maxCountedPeers = 1_024;
