/**
 * `pod-certificate-agent probe`: the kubelet's exec probes. Asks the agent in this container whether it is well, over a
 * socket that nobody on the network can reach or overload.
 */
import { parseArgs } from 'node:util';
import { answerLimitMs, askSocket } from './ask-socket.ts';
import { defaultSocket, silenceText } from './sockets.ts';
import type { CommandSurroundings } from './surroundings.ts';

const probeUsage = `Usage: pod-certificate-agent probe live|ready [options]

For the kubelet's exec probes: asks the agent over its probe socket, prints every check, and ends with 0 when all is well
and with 1 when it is not.

  --socket PATH         the agent's --probe-socket
                        (default: /var/lib/kubelet/plugins/csi.podcert.io/csi.sock.probe)
`;

const options = {
  socket: { type: 'string', default: defaultSocket },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

const paths: ReadonlyMap<string, string> = new Map([
  ['live', '/livez'],
  ['ready', '/readyz'],
]);

/** The kubelet shows the first kilobytes of what a probe prints. */
const maxPrintedLength = 4_096;

/** @returns the exit code: 0 when all is well @throws what is wrong with the arguments */
export async function probe(argv: readonly string[], surroundings: CommandSurroundings): Promise<number> {
  const { stdout, stderr, stopping } = surroundings;
  const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true });
  const [what = '', ...more] = positionals;
  const path = paths.get(what);
  if (values.help) {
    stdout.write(probeUsage);
    return 0;
  }
  if (path === undefined || more.length > 0) {
    throw new Error('say probe live or probe ready');
  }
  try {
    const signal = AbortSignal.any([stopping, AbortSignal.timeout(answerLimitMs)]);
    const { ok, text } = await askSocket({
      socketPath: values.socket,
      method: 'GET',
      path,
      maxLength: maxPrintedLength,
      signal,
    });
    stdout.write(text);
    return ok ? 0 : 1;
  } catch (error) {
    stderr.write(`the agent does not answer on ${silenceText(values.socket, error)}\n`);
    return 1;
  }
}
