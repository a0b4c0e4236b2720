/** One call as a kubelet makes it, over a connection of its own. */
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { identityService, nodeService, registrationService } from '../../../volumes/csi/protocol.ts';

/** What came back: the response, or code and message of the failure. */
export interface Answer {
  readonly response?: Record<string, unknown>;
  readonly code?: number;
  readonly details?: string;
}

const services: Record<string, typeof nodeService> = {
  Identity: identityService,
  Node: nodeService,
  Registration: registrationService,
};

/** @param deadlineMs 0 for none */
export function oneCall(
  socket: string,
  service: string,
  method: string,
  request: object,
  deadlineMs: number,
): Promise<Answer> {
  const definition = services[service]?.[method];
  if (definition === undefined) {
    throw new Error(`no method ${service}.${method}`);
  }
  const { path, requestSerialize, responseDeserialize } = definition;
  const client = new Client(`unix:${socket}`, credentials.createInsecure());
  const options = deadlineMs === 0 ? {} : { deadline: Date.now() + deadlineMs };
  return new Promise((resolve) => {
    const answered = (error: ServiceError | null, response?: Answer['response']): void => {
      client.close();
      resolve(error === null ? { response: response ?? {} } : { code: error.code, details: error.details });
    };
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, options, answered);
  });
}
