/**
 * A CSI driver for tests, in a process of its own: it writes each call as one JSON line to standard output. A publish answers
 * with the gRPC code that the volume attribute `answer` names (`hang`: not at all), else makes the target directory.
 *
 *     node csi-process.ts CSI-SOCKET [REGISTRATION-SOCKET DRIVER-NAME VERSION]
 */
import { mkdirSync, rmSync } from 'node:fs';
import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { nodeService, registrationService } from '../../../volumes/csi/protocol.ts';

interface Call {
  readonly request: {
    readonly target_path: string;
    readonly volume_context?: Readonly<Record<string, string>>;
  };
}
type Reply = (error: { code: number; details: string } | null, reply?: object) => void;

const [socket = '', registrationSocket, driverName, version] = process.argv.slice(2);

async function serve(
  path: string,
  service: ServiceDefinition,
  implementation: UntypedServiceImplementation,
): Promise<void> {
  const server = new Server();
  server.addService(service, implementation);
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    );
  });
}

function say(method: string, request: object): void {
  process.stdout.write(`${JSON.stringify({ method, request })}\n`);
}

await serve(socket, nodeService, {
  NodeGetCapabilities: (_call: Call, reply: Reply) =>
    reply(null, { capabilities: [{ rpc: { type: 'VOLUME_MOUNT_GROUP' } }] }),
  NodeGetInfo: (_call: Call, reply: Reply) => reply(null, { node_id: 'node-a' }),
  NodePublishVolume: ({ request }: Call, reply: Reply) => {
    say('NodePublishVolume', request);
    const answer = request.volume_context?.['answer'];
    if (answer === 'hang') {
      return;
    }
    const code = Object.entries(status).find(([name]) => name === answer)?.[1];
    if (typeof code === 'number') {
      return reply({ code, details: 'as ordered' });
    }
    mkdirSync(request.target_path);
    reply(null, {});
  },
  NodeUnpublishVolume: ({ request }: Call, reply: Reply) => {
    say('NodeUnpublishVolume', request);
    rmSync(request.target_path, { recursive: true, force: true });
    reply(null, {});
  },
});
if (registrationSocket !== undefined) {
  await serve(registrationSocket, registrationService, {
    GetInfo: (_call: Call, reply: Reply) =>
      reply(null, { type: 'CSIPlugin', name: driverName, endpoint: socket, supported_versions: [version] }),
    NotifyRegistrationStatus: ({ request }: Call, reply: Reply) => {
      say('NotifyRegistrationStatus', request);
      reply(null, {});
    },
  });
}
say('ready', {});
