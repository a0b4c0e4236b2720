/**
 * A program that uses the files of a volume, seen from outside: it serves with them, it asks others with them. What it does with each key
 * type is found out here, by combinations as few as will do.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type KeyType, keyTypes } from '../../volumes/declaration/key-types.ts';
import { until } from '../support/bounded.ts';
import type { Owner, RunningProgram } from '../support/programs.ts';
import { handshake, type Protocol } from './counterpart.ts';

/** A server that runs. */
export interface Served {
  readonly program: RunningProgram;
  readonly port: number;
  readonly protocol?: Protocol;
  /** Asks the peer that it was started with, where the program is server and client at once. @throws when that fails */
  readonly ask?: () => Promise<void>;
}

/** Where a program is to run, and with what. */
export interface Ground {
  readonly volume: string;
  /** An empty directory of its own. */
  readonly directory: string;
  /** Where a server with credentials of the same anchors listens: for a program that is a client too. */
  readonly peerPort: number;
}

export interface Workload {
  /** Its section in the document, and its row in the table. */
  readonly title: string;
  /** Programs that have to be on this machine. */
  readonly needs: readonly string[];
  /** Starts it as a server. It need not listen yet. */
  serve(owner: Owner, ground: Ground): Promise<Served>;
  /**
   * Asks a server that listens on the port of the ground; absent where a server asks itself.
   * @throws when one of the two refuses the other
   */
  ask?(owner: Owner, ground: Ground): Promise<void>;
}

/** What a side does with a key type. */
export type Verdict = 'yes' | 'own' | 'no';

export interface Row {
  readonly server: ReadonlyMap<KeyType, Verdict>;
  readonly client: ReadonlyMap<KeyType, Verdict>;
}

/** What the test has for each key type. */
export interface Sides {
  /** A volume with such a certificate. */
  readonly volumeOf: (keyType: KeyType) => string;
  /** A server with such a certificate, for a program to ask. */
  readonly peerOf: (keyType: KeyType) => { readonly port: number };
  /** An empty directory. */
  readonly directory: () => string;
  /** Told what was refused, and why: for the message of a test that fails. */
  readonly onRefusal: (message: string) => void;
}

/** The type that whoever takes no other takes. */
const common: KeyType = 'ECDSAP256';

/** Waits until a program listens; a refusal by TLS counts as listening. @throws when it ends before that */
export async function listening({ program, port, protocol }: Served, volume: string): Promise<void> {
  const ended = program.exit.then(() => true);
  await until(
    async () => {
      const failure = await handshake(port, volume, protocol).then(
        () => undefined,
        (error: NodeJS.ErrnoException) => error,
      );
      if (failure?.code === 'ECONNREFUSED' && (await Promise.race([ended, false]))) {
        throw new Error(`it ended:\n${program.output()}`);
      }
      return failure?.code !== 'ECONNREFUSED';
    },
    () => `it to listen; it said\n${program.output()}`,
    () => sleep(20),
  );
}

/**
 * Finds out what a program does with each key type. Where it takes a peer of the type that it has itself, it takes both; only where that fails
 * are its own and its peer's tried apart.
 */
export async function takes(workload: Workload, sides: Sides): Promise<Row> {
  const server = new Map<KeyType, Verdict>();
  const client = new Map<KeyType, Verdict>();
  for (const keyType of keyTypes) {
    await whileServing(workload, sides, keyType, keyType, async (served) => {
      const serves = (peer: KeyType): Promise<boolean> =>
        succeeds(`a client with ${peer} at its ${keyType}`, sides, () =>
          handshake(served.port, sides.volumeOf(peer), served.protocol),
        );
      server.set(
        keyType,
        await verdict(
          () => serves(keyType),
          () => serves(common),
        ),
      );
      const both = () => asks(workload, sides, keyType, keyType, served);
      client.set(keyType, await verdict(both, () => asks(workload, sides, keyType, common)));
    });
  }
  return { server, client };
}

async function verdict(both: () => Promise<boolean>, own: () => Promise<boolean>): Promise<Verdict> {
  if (await both()) {
    return 'yes';
  }
  return (await own()) ? 'own' : 'no';
}

/** Whether it asks a peer of one type with a certificate of another, by the server that runs where that is a client too. */
async function asks(workload: Workload, sides: Sides, own: KeyType, peer: KeyType, running?: Served): Promise<boolean> {
  const what = `as a client with ${own} at ${peer}`;
  const { ask } = workload;
  if (ask !== undefined) {
    return await withOwner((owner) => succeeds(what, sides, () => ask(owner, groundOf(sides, own, peer))));
  }
  const asking = ({ ask: askPeer }: Served): Promise<boolean> => succeeds(what, sides, async () => await askPeer?.());
  return running === undefined ? await whileServing(workload, sides, own, peer, asking) : await asking(running);
}

async function whileServing<T>(
  workload: Workload,
  sides: Sides,
  own: KeyType,
  peer: KeyType,
  work: (served: Served) => Promise<T>,
): Promise<T> {
  return await withOwner(async (owner) => {
    const served = await workload.serve(owner, groundOf(sides, own, peer));
    await listening(served, sides.volumeOf(common));
    return await work(served);
  });
}

function groundOf(sides: Sides, own: KeyType, peer: KeyType): Ground {
  return { volume: sides.volumeOf(own), directory: sides.directory(), peerPort: sides.peerOf(peer).port };
}

/** Runs what starts something, and ends that afterwards. */
async function withOwner<T>(work: (owner: Owner) => Promise<T>): Promise<T> {
  const closing: (() => Promise<void>)[] = [];
  try {
    return await work({ after: (close) => void closing.push(close) });
  } finally {
    for (const close of closing.reverse()) {
      await close();
    }
  }
}

async function succeeds(what: string, { onRefusal }: Sides, attempt: () => Promise<unknown>): Promise<boolean> {
  try {
    await attempt();
    return true;
  } catch (error) {
    onRefusal(`${what}: ${String(error)}`);
    return false;
  }
}
