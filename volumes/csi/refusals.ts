/**
 * Tells of calls that were answered with an error. The kubelet repeats a call for as long as its pod is there, with the same answer
 * each time: each answer is told once for a volume, until there is another, and counted each time. That a publish call goes on waiting, or
 * that a signer has refused, is no matter of this: the log has each step of that.
 */
import { status } from '@grpc/grpc-js';
import { createBoundedMap } from '../base/bounded-map.ts';
import type { Log } from './driver.ts';
import type { CallStatus } from './status.ts';

/** The volume that a call is about. */
export interface CallSubject {
  readonly targetPath: string;
  /** Of its pod, where the call names it. */
  readonly namespace?: string;
  readonly pod?: string;
}

export interface Refusals {
  refused(method: string, subject: CallSubject, answer: CallStatus): void;
  /** The call was answered well. */
  served(method: string, subject: CallSubject): void;
}

/** Takes each refusal. @param code gRPC's name for it */
export type OnRefused = (method: string, code: string) => void;

/** Volumes of which the last answer is remembered: more than a node has. */
const mostVolumes = 512;
const mostOfAnswer = 256;

export function createRefusals(log: Log, onRefused: OnRefused): Refusals {
  const told = createBoundedMap<string, string>(mostVolumes);
  const keyOf = (method: string, { targetPath }: CallSubject): string => `${method} ${targetPath}`;
  return {
    refused(method, subject, { code, details }) {
      if (code === status.ABORTED) {
        return;
      }
      onRefused(method, status[code]);
      const key = keyOf(method, subject);
      const answer = `${code} ${details}`.slice(0, mostOfAnswer);
      if (told.get(key) === answer) {
        return;
      }
      told.set(key, answer);
      log.warn('a call of the kubelet was refused', { method, ...subject, code, detail: details });
    },
    served: (method, subject) => told.delete(keyOf(method, subject)),
  };
}
