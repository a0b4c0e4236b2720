/**
 * What the CSI services need from the rest of the agent.
 */

import type { PodReference } from '../base/volume.ts';
import type { VolumeDeclaration } from '../declaration/types.ts';

/** A NodePublishVolume call whose fields have all been checked. */
export interface PublishRequest {
  readonly volumeId: string;
  readonly targetPath: string;
  /** The volume's name in the pod's spec, from the target path. */
  readonly volumeName: string;
  readonly pod: PodReference;
  readonly declaration: VolumeDeclaration;
  /** The pod's fsGroup (`volume_mount_group`). */
  readonly mountGroup?: number;
  /** The SELinux context of all files (`mount_flags`). */
  readonly seLinuxContext?: string;
  /**
   * What the kubelet hands over: tokens of the pod's service account by audience, JSON. A function, so that nothing that prints
   * the request prints it.
   */
  readonly tokens?: () => string;
}

/** What becomes of a publish call; `csi/status.ts` turns each into a gRPC status. */
export type PublishOutcome =
  /** The volume is mounted and every file is in it. */
  | { readonly type: 'ready' }
  /** Work goes on; the kubelet asks again. The message says what is waited for. */
  | { readonly type: 'waiting'; readonly message: string }
  /** The signer said no. It is asked again later, and the kubelet asks again. */
  | { readonly type: 'refused'; readonly message: string }
  /** Nothing will help but another declaration or another pod. No mount is left behind. */
  | { readonly type: 'invalid'; readonly message: string }
  /** Something is down or missing; the kubelet asks again. */
  | { readonly type: 'unavailable'; readonly message: string };

/** Something that is wrong with a volume that is there. */
export interface VolumeFinding {
  /** The reason of the event that tells the pod of it. */
  readonly reason: 'CertificateExpired' | 'CertificateOverdueForRefresh' | 'TrustMismatch' | 'VolumeUnusable';
  readonly message: string;
}

export interface VolumeDriver {
  /**
   * Makes the volume ready, or says before `deadline` (milliseconds since the epoch) why it is not yet. `signal` fires when the
   * kubelet gives the call up.
   */
  publish(request: PublishRequest, deadline: number, signal: AbortSignal): Promise<PublishOutcome>;
  /** True when a volume is at the target path, in whatever state it is: its pod may run. */
  holds(targetPath: string): boolean;
  /**
   * What is wrong with a volume, each reason once; undefined when there is no such volume. Answered from memory.
   * @param targetPath absent: wherever it is
   */
  health(volumeId: string, targetPath: string | undefined): readonly VolumeFinding[] | undefined;
  /** Ends everything of the volume. Idempotent. @throws VolumeError */
  unpublish(volumeId: string, targetPath: string): Promise<void>;
  /** True when volumes can be published; what Probe answers. */
  ready(): boolean;
}

/** What a log line of the CSI services may say beyond its message. */
export interface LogFields {
  /** gRPC method. */
  readonly method?: string;
  /** gRPC status code. */
  readonly code?: number;
  readonly tookMs?: number;
  /** The volume that a call is about, and its pod, as far as the call names them. */
  readonly targetPath?: string;
  readonly namespace?: string;
  readonly pod?: string;
  /** Path of a socket. */
  readonly address?: string;
  /** Path of a directory. */
  readonly path?: string;
  /** Name of the driver. */
  readonly driver?: string;
  /** What was told to the other side, or by it. */
  readonly detail?: string;
  readonly error?: unknown;
}

/** Takes log lines. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** An inline volume of this driver, as the pod's spec has it. */
export interface InlineVolume {
  readonly readOnly: boolean;
  readonly attributes: Readonly<Record<string, string>>;
}

/** The request that a publish call of this volume will be; undefined when the call will be refused, which tells the pod why. */
export type Foresight = (pod: PodReference, name: string, volume: InlineVolume) => Promise<PublishRequest | undefined>;
