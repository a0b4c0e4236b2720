/**
 * What the sandbox's kubelet needs from the outside, as interfaces: the API server (`api.ts`), a CSI driver (`csi.ts`),
 * something to run containers with.
 */
import type { BoundPod } from './pod.ts';

/** A PodStatus to merge into the one that stands. */
export type StatusPatch = Readonly<Record<string, unknown>>;

export interface PodListener {
  changed(pod: BoundPod): void;
  deleted(pod: BoundPod): void;
  /** The list is complete: what has not been reported is not there. */
  synced(): void;
}

export interface KubeletApi {
  /** Reports the pods bound to the node, now and whenever they change. @returns ends the watch. */
  follow(nodeName: string, listener: PodListener): () => void;
  /** Both calls end without effect when the pod is gone. */
  patchStatus(pod: BoundPod, status: StatusPatch): Promise<void>;
  /** Deletes the object without grace: its containers and volumes are gone. */
  remove(pod: BoundPod): Promise<void>;
  /** What goes along with the publish calls for a pod's volumes. */
  handOver(pod: BoundPod, driverName: string): Promise<HandOver>;
  /** Tells the pod's reader; the same reason and message again only count up. Never throws. */
  warn(pod: BoundPod, reason: string, message: string): Promise<void>;
}

/** What the CSIDriver object asks of a publish call. */
export interface HandOver {
  /** Whether the call is made again and again while the pod runs. */
  readonly isRepeated: boolean;
  /** Tokens of the pod's service account by audience, JSON, and whether they go where nothing prints them. */
  readonly tokens?: { readonly text: string; readonly inSecrets: boolean };
}

export interface PublishRequest {
  readonly volumeId: string;
  readonly targetPath: string;
  readonly readOnly: boolean;
  readonly volumeContext: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly fsGroup?: number;
}

/** Outcome of a call to a driver. `final`: by its code the call cannot have had an effect that lasts. */
export type CsiResult =
  | { readonly type: 'done' }
  | { readonly type: 'error'; readonly final: boolean; readonly message: string };

export interface CsiDriver {
  publish(request: PublishRequest, signal: AbortSignal): Promise<CsiResult>;
  unpublish(volumeId: string, targetPath: string, signal: AbortSignal): Promise<CsiResult>;
}

/** Containers of a pod that run. */
export interface RunningContainers {
  stop(): Promise<void>;
}

/** Starts a pod's containers. @param mounts path of each volume by its name. */
export type StartContainers = (pod: BoundPod, mounts: ReadonlyMap<string, string>) => Promise<RunningContainers>;

/** What happens to pods, for whoever looks on. */
export type KubeletNotice =
  | { readonly type: 'mounted'; readonly pod: BoundPod; readonly volume: string; readonly tookMs: number }
  | { readonly type: 'mountFailed'; readonly pod: BoundPod; readonly volume: string; readonly message: string }
  | { readonly type: 'running' | 'stopped'; readonly pod: BoundPod }
  /** What has no pod to be told about. */
  | { readonly type: 'problem'; readonly message: string };
