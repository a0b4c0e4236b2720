/** The Node service asked without a socket: requests and responses pass through the bytes of the wire all the same. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { type handleUnaryCall, status } from '@grpc/grpc-js';
import { createCalls } from '../../../volumes/csi/calls.ts';
import type { VolumeDriver } from '../../../volumes/csi/driver.ts';
import { createNodeService } from '../../../volumes/csi/node.ts';
import { nodeService } from '../../../volumes/csi/protocol.ts';
import type { Answer } from './one-call.ts';
import { makeLog } from './support.ts';

/** Asks a service that has this driver, and keeps what it logs. */
export function askNode(driver: VolumeDriver, volumeCondition = false) {
  const { log, lines } = makeLog();
  const calls = createCalls(log, 60_000, Promise.resolve());
  const service = createNodeService({ driver, nodeName: 'node-1', volumeCondition, calls });
  const ask = (method: string, request: object = {}): Promise<Answer> => {
    const definition = nodeService[method];
    assert.ok(definition !== undefined, `there is no method ${method}`);
    const handler = service[method] as handleUnaryCall<unknown, unknown> | undefined;
    if (handler === undefined) {
      return Promise.resolve({ code: status.UNIMPLEMENTED });
    }
    const { requestSerialize, requestDeserialize, responseSerialize, responseDeserialize } = definition;
    const read: unknown = requestDeserialize(requestSerialize(request));
    const call = Object.assign(new EventEmitter(), { request: read, getDeadline: () => Number.POSITIVE_INFINITY });
    return new Promise((resolve) => {
      handler(call as Parameters<typeof handler>[0], (error, response) => {
        const { code = status.UNKNOWN, details = '' } = error ?? {};
        resolve(error === null ? { response: responseDeserialize(responseSerialize(response)) } : { code, details });
      });
    });
  };
  return { ask, lines };
}
