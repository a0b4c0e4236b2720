/**
 * What a person reads in the terminal: few lines, aligned, each with the time since the start.
 */
import type { KeyType } from '../../volumes/declaration/key-types.ts';
import type { Views } from './sightings.ts';

export interface Terminal {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

export interface Narrator {
  heading(text: string): void;
  /** A thing that happened now. */
  step(text: string): void;
  /** A name and where it is found. */
  pointer(name: string, place: string): void;
  plain(text: string): void;
  /** One line that replaces itself; nothing where the output is no terminal. */
  counter(text: string): void;
}

const timeWidth = 8;

/** @param elapsedMs time since the start */
export function createNarrator(terminal: Terminal, elapsedMs: () => number): Narrator {
  let counting = false;
  const line = (text: string) => {
    if (counting) {
      terminal.write('\r\x1b[K');
    }
    counting = false;
    terminal.write(`${text}\n`);
  };
  const time = () => `${(elapsedMs() / 1000).toFixed(1)} s`.padStart(timeWidth);
  return {
    heading: (text) => line(`\n${text}`),
    step: (text) => line(`${time()}  ${text}`),
    pointer: (name, place) => line(`  ${name.padEnd(timeWidth)}${place}`),
    plain: line,
    counter: (text) => {
      if (terminal.isTTY !== true) {
        return;
      }
      terminal.write(`\r\x1b[K${time()}  ${text}`);
      counting = true;
    },
  };
}

const nameWidth = 12;

/** Which pod got which kind of key, and how long its volume took. */
export function podLine(pod: string, keyType: KeyType, tookMs: number): string {
  return `${pod.padEnd(nameWidth)}${keyType.padEnd(nameWidth)}${Math.round(tookMs).toString().padStart(6)} ms`;
}

/** Who the workloads are, each as the other one sees it: the server's line is the client's word. */
export function identityLines(views: Views): readonly string[] {
  const pairs = [
    ['server', views.client.peer],
    ['client', views.server.peer],
  ] as const;
  return pairs.flatMap(([name, peer]) =>
    peer === undefined
      ? []
      : [`${name.padEnd(nameWidth)}${peer.spiffeId}  serial ${shortSerial(peer.serial)}  ${peer.issuer}`],
  );
}

/** A serial number's last digits, enough to tell two apart. */
function shortSerial(serial: string): string {
  return `…${serial.slice(-8)}`;
}

/** `1,234 requests, 0 dropped` */
export function countLine(views: Views): string {
  const { requests, failed } = views.client;
  return `${requests.toLocaleString('en')} requests, ${failed.toLocaleString('en')} dropped`;
}
