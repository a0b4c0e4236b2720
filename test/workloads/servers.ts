/** Programs that are configured: proxies and stores. Each runs as its recipe in docs/workloads.md says. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { boundMs, eventOf } from '../support/bounded.ts';
import { makeDirectory } from '../support/directory.ts';
import { type Places, replaced } from '../support/places.ts';
import { freePort, type Owner, programPath, type RunningProgram, runProgram } from '../support/programs.ts';
import { filesOf, writeFiles } from './recipes.ts';
import type { Ground, Served, Workload } from './workload.ts';

/** Looks for other files several times a second. */
const env = { ...process.env, RELOAD_INTERVAL: '0.2' };

/** Writes the recipe's files, with the loop beside them, and starts it as its `start.sh` says. */
function start(
  owner: Owner,
  title: string,
  { directory }: Ground,
  places: Places,
  user: { readonly uid?: number; readonly gid?: number } = {},
): RunningProgram {
  writeFiles(new Map([...filesOf('The reload loop'), ...filesOf(title)]), directory, places);
  return runProgram(owner, ['sh', join(directory, 'start.sh')], { env, ...user });
}

/** What stands in all recipes. */
function placesOf({ volume, directory, peerPort }: Ground, port: number, local: number): Places {
  return {
    ...{ '/mtls': volume, '/recipes': directory, '/tmp': directory },
    ...{ 8443: String(port), 8080: String(local), 9443: String(peerPort) },
    'server.mtls-example.svc:9443': `127.0.0.1:${peerPort}`,
    'server.mtls-example.svc -p 9443': `127.0.0.1 -p ${peerPort}`,
  };
}

/** Asks a proxy, which asks its peer. @throws when it answers with another status than 200 */
async function throughProxy(port: number): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(boundMs) });
  const answer = await response.text();
  if (response.status !== 200) {
    throw new Error(`the proxy answers ${response.status}: ${answer}`);
  }
}

/** A proxy that is started by its `start.sh`. */
function proxy(title: string, program: string): Workload {
  return {
    title,
    needs: [program],
    async serve(owner, ground): Promise<Served> {
      const [port, local] = [await freePort(), await freePort()];
      const running = start(owner, title, ground, placesOf(ground, port, local));
      return { program: running, port, ask: () => throughProxy(local) };
    },
  };
}

export const nginx = proxy('nginx', 'nginx');
export const haproxy = proxy('HAProxy', 'haproxy');

/** As the pod of the example, with the document's client beside its server. */
export const envoy: Workload = {
  title: 'Envoy',
  needs: ['envoy'],
  async serve(owner, ground) {
    const [port, inner, local] = [await freePort(), await freePort(), await freePort()];
    const places = {
      ...placesOf(ground, port, inner),
      ...{ '/etc/envoy': ground.directory, 8081: String(local) },
    };
    const example = readFileSync(join(import.meta.dirname, '../../deploy/examples/envoy.yaml'), 'utf8');
    const map = parseAllDocuments(example)
      .map((each) => each.toJS())
      .find(({ kind }) => kind === 'ConfigMap');
    const files = new Map<string, string>(Object.entries(map.data));
    const configuration = parse(files.get('envoy.yaml') ?? '');
    const client = parse(
      replaced(filesOf('Envoy').get('client.yaml') ?? '', { 'server.mtls-example.svc, port': '127.0.0.1, port' }),
    );
    configuration.static_resources.listeners.push(...client.listeners, answering(inner));
    configuration.static_resources.clusters.push(...client.clusters);
    files.set('envoy.yaml', stringify(configuration));
    writeFiles(files, ground.directory, places);
    const options = [
      '--config-path',
      join(ground.directory, 'envoy.yaml'),
      '--disable-hot-restart',
      '--log-level',
      'warning',
      '--concurrency',
      '1',
    ];
    const program = runProgram(owner, [programPath('envoy'), ...options]);
    return { program, port, ask: () => throughProxy(local) };
  },
};

/** The program behind Envoy, played by Envoy. */
function answering(port: number): object {
  const connections =
    'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
  const router = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router';
  const route = { match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: 'hello\n' } } };
  return {
    name: 'program',
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: {
              '@type': connections,
              stat_prefix: 'program',
              route_config: { virtual_hosts: [{ name: 'program', domains: ['*'], routes: [route] }] },
              http_filters: [{ name: 'envoy.filters.http.router', typed_config: { '@type': router } }],
            },
          },
        ],
      },
    ],
  };
}

/** Runs the recipe's `ask.sh`. @throws with its output when it fails */
async function askBy(owner: Owner, title: string, ground: Ground, environment: NodeJS.ProcessEnv = {}): Promise<void> {
  writeFiles(filesOf(title), ground.directory, placesOf(ground, 0, 0));
  const command = ['sh', join(ground.directory, 'ask.sh')];
  const client = runProgram(owner, command, { env: { ...env, ...environment } });
  const { code } = await client.exit;
  if (code !== 0) {
    throw new Error(client.output());
  }
}

export const redis: Workload = {
  title: 'Redis',
  needs: ['redis-server', 'redis-cli'],
  async serve(owner, ground) {
    const port = await freePort();
    const program = start(owner, 'Redis', ground, placesOf(ground, port, 0));
    const asking = { ...ground, peerPort: port };
    const greeting = Buffer.from('PING\r\n');
    return { program, port, protocol: { greeting }, ask: () => askBy(owner, 'Redis', asking) };
  },
};

const password = 'of a database that lives for a test';

/** The bytes by which a client asks for TLS, and those by which it says who it is: PostgreSQL's frontend/backend protocol, version 3. */
const sslRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const startup = Buffer.from('\0\0\0\x17\0\x03\0\0user\0postgres\0\0', 'latin1');

async function askForTls(socket: Socket): Promise<void> {
  socket.write(sslRequest);
  await eventOf(socket, 'readable', 'the answer to the request for TLS');
  const answer: Buffer | null = socket.read(1);
  if (answer?.toString() !== 'S') {
    throw new Error(`PostgreSQL answers ${answer} to a request for TLS`);
  }
}

/**
 * Who runs a database: never root. In a volume that is a mere directory files are root's, of root's group, and so that is the pods' fsGroup
 * here: nobody, with that group, reads them as a pod's user does.
 */
export function databaseUser(): { readonly uid?: number; readonly gid?: number } {
  return userInfo().uid === 0 ? { uid: 65_534, gid: 0 } : {};
}

/** One database, which one server after the other has. */
export function createPostgresql(): Workload {
  let made: string | undefined;
  const database = (user: ReturnType<typeof databaseUser>): string => {
    if (made === undefined) {
      const parent = makeDirectory();
      giveTo(parent, user);
      made = join(parent, 'data');
      const words = join(parent, 'password');
      writeFileSync(words, password);
      const options = ['--no-sync', '--auth=scram-sha-256', '--username=postgres', '--encoding=UTF8', '--locale=C'];
      const command = ['--pgdata', made, '--pwfile', words, ...options];
      execFileSync(programPath('initdb'), command, { ...user, stdio: 'pipe', cwd: '/' });
    }
    return made;
  };
  return {
    title: 'PostgreSQL',
    needs: ['postgres', 'initdb', 'psql'],
    async serve(owner, ground) {
      const user = databaseUser();
      const data = database(user);
      const port = await freePort();
      const tls = filesOf('PostgreSQL').get('tls.conf') ?? '';
      const places = placesOf(ground, port, 0);
      giveTo(ground.directory, user);
      const own = readFileSync(join(data, 'postgresql.conf'), 'utf8');
      const more = `port = ${port}\nunix_socket_directories = ''\nfsync = off\n`;
      writeFileSync(join(ground.directory, 'postgresql.conf'), `${own}\n${more}${replaced(tls, places)}`);
      const inImage = 'docker-entrypoint.sh postgres';
      const program = start(
        owner,
        'PostgreSQL',
        ground,
        { ...places, [inImage]: `${programPath('postgres')} -D ${data}` },
        user,
      );
      owner.after(async () => {
        await program.end('SIGINT');
      });
      await program.said(/ready to accept connections/);
      const asking = { ...ground, peerPort: port };
      const environment = { PGPASSWORD: password, PGHOSTADDR: '127.0.0.1' };
      const ask = (): Promise<void> => askBy(owner, 'PostgreSQL', asking, environment);
      return { program, port, protocol: { beforeTls: askForTls, greeting: startup }, ask };
    },
  };
}

function giveTo(directory: string, { uid, gid }: { readonly uid?: number; readonly gid?: number }): void {
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, 0o755);
  if (uid !== undefined && gid !== undefined) {
    chownSync(directory, uid, gid);
  }
}
