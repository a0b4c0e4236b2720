/**
 * `POST /retry?pod=NAMESPACE/NAME` or `POST /retry?all`: the operator has mended a cause, and whoever sits out a pause
 * tries again now. However often this is asked, the credential keeps its shortest pause between two attempts.
 */
import type { IncomingMessage } from 'node:http';
import type { CredentialSnapshot } from '../../lifecycle/notices.ts';
import type { PodName } from '../../lifecycle/volume-manager.ts';
import type { VolumeSnapshot } from '../../lifecycle/volume-status.ts';
import { timeText } from '../../time/time-text.ts';
import { type Reply, textReply } from '../reply.ts';
import { queryOf } from './serving.ts';

export interface RetrySources {
  volumes(): readonly VolumeSnapshot[];
  /** Ends the pauses of the pod's credentials, or of all, as soon as they may end. @returns those that paused, as they stand now */
  wake(pod?: PodName): readonly CredentialSnapshot[];
}

/** What was woken and when it tries, one credential a line. 404: no such pod has a volume here; 409: nothing pauses. */
export function retryReply(request: IncomingMessage, { volumes, wake }: RetrySources): Reply {
  if (request.method !== 'POST') {
    return textReply(405, 'only POST', { Allow: 'POST' });
  }
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers;
  if (length !== '0' || encoding !== undefined) {
    return textReply(413, 'no body is read; name the pod in the query');
  }
  const query = queryOf(request);
  const named = query.get('pod');
  const pod = named === null ? undefined : podNameOf(named);
  if ((named === null) !== query.has('all') || (named !== null && pod === undefined)) {
    return textReply(400, 'say ?pod=NAMESPACE/NAME or ?all');
  }
  const concerned = volumes().filter(({ volume }) => pod === undefined || isOf(volume.pod, pod));
  if (pod !== undefined && concerned.length === 0) {
    return textReply(404, `no pod ${pod.namespace}/${pod.name} has a volume of this node's agent; is it on this node?`);
  }
  const woken = wake(pod);
  const others = concerned.flatMap(({ credentials }) => credentials).length - woken.length;
  const rest = `${others} other credential${others === 1 ? '' : 's'} did not pause; status says how they stand`;
  if (woken.length === 0) {
    return textReply(409, `nothing pauses; ${rest}`);
  }
  return textReply(200, [...woken.map(lineOf), rest].join('\n'));
}

/** Names as Kubernetes allows them, and so nothing that could do harm where it is printed. */
function podNameOf(text: string): PodName | undefined {
  const [, namespace, name] = /^([a-z0-9-]{1,63})\/([a-z0-9.-]{1,253})$/.exec(text) ?? [];
  return namespace === undefined || name === undefined ? undefined : { namespace, name };
}

function isOf(pod: PodName, { namespace, name }: PodName): boolean {
  return pod.namespace === namespace && pod.name === name;
}

function lineOf({ volume, source, signerName, nextAttemptAt }: CredentialSnapshot): string {
  const { namespace, name } = volume.pod;
  const due = nextAttemptAt === undefined ? 'now' : timeText(nextAttemptAt);
  return `${namespace}/${name} volume ${volume.volumeName} sources[${source}] of ${signerName}: tries again ${due}`;
}
