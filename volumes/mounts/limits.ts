/**
 * What the files of volumes may take of the node's memory. What the agent writes into a tmpfs counts in its own container, so all
 * volumes together have what the container's limit leaves beside the process. A pod has a share of that: whoever goes over a limit is
 * told its name, and nobody else is affected.
 */

/** Bytes of the container's limit that are kept for the process: its heap, its trust anchors, its connections. */
export const maxProcessBytes = 288 * 1024 * 1024;
/** Taken for the container's limit where none is set: the chart's. */
export const maxMemoryBytes = 512 * 1024 * 1024;
/** One pod may have one part in so many of what the volumes of a node may take. */
export const maxPodParts = 4;
/**
 * One part in so many of it is kept for changes that take no more than `maxSmallBytes`, such as a certificate: a few pods that take all they
 * may have must not keep the certificates of others from being written.
 */
export const maxSmallParts = 4;
export const maxSmallBytes = 512 * 1024;
/** Bytes that the kernel keeps for each file and directory beside its contents, rounded up. */
export const maxEntryBytes = 1024;
