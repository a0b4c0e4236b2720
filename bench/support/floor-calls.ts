/** What a bench asks of the floor, which is a process of its own. */
import type { KeyType } from '../../volumes/declaration/key-types.ts';

export interface FloorCalls {
  /** Does the bare steps for a key of each type, all at once. @returns how long each took, milliseconds */
  run(keyTypes: readonly KeyType[]): readonly number[];
  /** Unmounts what runs have mounted. */
  clean(): undefined;
  /** Processor time until now, that of processes which it has started included, milliseconds. */
  processorMs(): number;
}

/** Node name of its requests, so that it sees its own and no others. */
export const floorNode = 'floor-node';
