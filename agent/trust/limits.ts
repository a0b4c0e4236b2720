/** What trust anchors may cost a node. Whoever goes over a limit is told its name; nobody else is affected. */

/**
 * ClusterTrustBundles that one source may select. A signer has one, or a few while it changes its CA; the limit keeps the
 * union of a source from being put together out of thousands of parts at each of their changes.
 */
export const mostBundlesPerSource = 256;

/**
 * Bytes of DER in the union that one source asks for. Two full bundles of 1 MiB of PEM fit; a verifier reads the whole
 * file at each start, and the volume keeps it in memory.
 */
export const longestUnionBytes = 4 * 1024 * 1024;

/**
 * Bytes of DER held for all volumes of the node together, each certificate once however many ask for it. With what it
 * takes to keep track of small certificates it is a sixth of the 512 MiB that the chart gives the agent, which at times
 * holds some bundles as text beside them (`longestWaitingText`). A signer may have half of what others leave (`anchor-pool.ts`).
 */
export const longestHeldBytes = 32 * 1024 * 1024;

/**
 * Bundle names and signers that are watched one by one. With more, one watch of all bundles takes over: each watch
 * costs the API server a standing request, and the agent a call at every start.
 */
export const mostSingleWatches = 8;

/**
 * Names and signers that are asked for one by one at once while the first list of all bundles is on its way, which may be
 * a hundred MiB that others asked for.
 */
export const mostFirstLooks = 4;

/**
 * Bytes of bundles, as text, that wait to be read before the API server is asked for more. Whoever asks then gets a page of a few
 * bundles at most.
 */
export const longestWaitingText = 8 * 1024 * 1024;

/**
 * Certificates of a bundle that are looked at in one turn of the event loop: some 0.3 milliseconds. A pod's certificate takes dozens of
 * turns, and each of them waits for as much while a hundred full bundles of others are read.
 */
export const certificatesPerTurn = 64;

/** Trust domains that one source keeps apart: each is a file, or an entry of a map that its readers load whole. */
export const mostTrustDomains = 128;

/** Certificates in one SPIFFE bundle map: each public key in it is taken apart by OpenSSL. */
export const mostMapCertificates = 1024;
/** Sources that are told of their anchors in one turn of the event loop: as many as a volume may have. */
export const sourcesPerTurn = 256;
