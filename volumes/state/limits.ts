/** How much a file of a volume's state may hold. A privileged container can write there what it likes, and each file is read in one go. */

/** Bytes: room for a request's chain and anchors of 100 KiB each, or a declaration of 64 KiB, with their JSON. */
export const maxStateBytes = 512 * 1024;
/** Commas, colons and brackets outside of strings: what reading JSON costs grows with them. A declaration has at most half as many. */
export const maxStateParts = 32_768;
