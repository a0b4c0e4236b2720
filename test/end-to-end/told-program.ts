/** A server of a pod that reads its certificate again when it is asked to over HTTP, and says when it is signalled. `told-program.ts DIRECTORY`. */
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import tls from 'node:tls';

const [, , directory = ''] = process.argv;
// The name by which signals find it.
process.title = 'told-program';

function certificate(): { readonly key: Buffer; readonly cert: Buffer } {
  const bundle = readFileSync(join(directory, 'tls.pem'));
  return { key: bundle, cert: bundle };
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

const server = tls.createServer(certificate(), (socket) => socket.on('error', (error) => say(`closed: ${error.name}`)));
server.listen(8443);
const control = http.createServer(({ method, url }, response) => {
  server.setSecureContext(certificate());
  response.writeHead(204).end();
  say(`asked: ${method} ${url}`);
});
control.listen(8080, () => say('listening'));
process.on('SIGHUP', () => say('signalled'));
