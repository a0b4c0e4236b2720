/** A gRPC server as a socket is served by it. */
import { promisify } from 'node:util';
import { type Server, ServerCredentials } from '@grpc/grpc-js';
import type { SocketServer } from './socket.ts';

export function overGrpc(server: Server): SocketServer {
  return {
    listen: async (path) => {
      await promisify(server.bindAsync).call(server, `unix:${path}`, ServerCredentials.createInsecure());
    },
    close: (over) => server.tryShutdown(() => over()),
    cut: () => server.forceShutdown(),
  };
}
