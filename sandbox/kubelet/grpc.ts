/**
 * Unary gRPC calls over a unix socket as a kubelet makes them: a connection for each call.
 */
import { Client, credentials, Metadata, type ServiceDefinition, type ServiceError, status } from '@grpc/grpc-js';

/** What came of a call: the reply with the fields' names as on the wire, or gRPC's code and message. */
export type CallResult =
  | { readonly type: 'reply'; readonly reply: object }
  | { readonly type: 'error'; readonly code: status; readonly message: string };

export interface CallOptions {
  /** Path of the unix socket. */
  readonly socket: string;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/** Calls a method of a service. @throws TypeError when the service has no such method. */
export function callUnary(
  service: ServiceDefinition,
  name: string,
  request: object,
  options: CallOptions,
): Promise<CallResult> {
  const { socket, deadlineMs, signal } = options;
  const method = service[name];
  if (method === undefined) {
    throw new TypeError(`the service has no method ${name}`);
  }
  return new Promise((resolve) => {
    const client = new Client(`unix:${socket}`, credentials.createInsecure());
    const call = client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      new Metadata(),
      { deadline: Date.now() + deadlineMs },
      (error: ServiceError | null, reply?: object) => {
        signal.removeEventListener('abort', cancel);
        client.close();
        if (error !== null) {
          resolve({ type: 'error', code: error.code, message: rpcError(error) });
        } else {
          resolve({ type: 'reply', reply: reply ?? {} });
        }
      },
    );
    const cancel = () => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    if (signal.aborted) {
      cancel();
    }
  });
}

/** An error in the words of Go's gRPC, which is how events on pods show it. */
function rpcError(error: ServiceError): string {
  const words = (status[error.code] ?? 'UNKNOWN').toLowerCase().split('_');
  const name = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
  return `rpc error: code = ${name === 'Cancelled' ? 'Canceled' : name} desc = ${error.details}`;
}
