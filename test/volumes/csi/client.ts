/**
 * A kubelet's side of a unix socket, as a process of its own: makes one call and prints its answer as JSON, `{ code, details }`
 * when it failed.
 *
 *     node client.ts <socket> <service> <method> <request JSON> <deadline in ms, 0 for none>
 */
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { identityService, nodeService, registrationService } from '../../../volumes/csi/protocol.ts';

const [socket = '', service = '', method = '', request = '{}', deadlineMs = '5000'] = process.argv.slice(2);
const services: Record<string, typeof nodeService> = {
  Identity: identityService,
  Node: nodeService,
  Registration: registrationService,
};
const definition = services[service]?.[method];
if (definition === undefined) {
  throw new Error(`no method ${service}.${method}`);
}

const client = new Client(`unix:${socket}`, credentials.createInsecure());
const options = deadlineMs === '0' ? {} : { deadline: Date.now() + Number(deadlineMs) };
const { path, requestSerialize, responseDeserialize } = definition;
client.makeUnaryRequest(
  path,
  requestSerialize,
  responseDeserialize,
  JSON.parse(request),
  options,
  (error: ServiceError | null, response: unknown) => {
    const answer = error === null ? { response } : { code: error.code, details: error.details };
    process.stdout.write(`${JSON.stringify(answer)}\n`, () => client.close());
  },
);
