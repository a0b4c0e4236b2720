/**
 * A kubelet's side of a unix socket, as a process of its own: makes one call and prints its answer as JSON, `{ code, details }`
 * when it failed.
 *
 *     node client.ts <socket> <service> <method> <request JSON> <deadline in ms, 0 for none>
 */
import { oneCall } from './one-call.ts';

const [socket = '', service = '', method = '', request = '{}', deadlineMs = '5000'] = process.argv.slice(2);
const answer = await oneCall(socket, service, method, JSON.parse(request), Number(deadlineMs));
process.stdout.write(`${JSON.stringify(answer)}\n`);
