/**
 * The program's subcommands: `status` asks the node's agent, `inspect` looks at a volume, `probe` is for the kubelet,
 * `retry` makes the node's agent try again now what it meant to try later. None of them starts an agent.
 *
 * Exit codes: 0 all is well; 1 it is not (no agent answers, something in the volume is wrong, or nothing paused); 2 the command line has
 * faults, or the directory cannot be read.
 */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { messageOf } from '../../volumes/base/errors.ts';
import { unreachable } from '../base/unreachable.ts';
import { inspect } from './inspect.ts';
import type { CommandName } from './names.ts';
import { probe } from './probe.ts';
import { retry } from './retry.ts';
import { defaultSocket, findSockets } from './sockets.ts';
import { status } from './status.ts';
import type { CommandSurroundings } from './surroundings.ts';

const usage = {
  status: `Usage: pod-certificate-agent status [options]

Shows the volumes and certificates of this node: pod, signer, state, expiry and what is wrong with each, first what needs
a person. Lines fit 100 columns.

  --filter WORDS        only lines that have all these words: of pod, volume, signer, serial number, state, error
  --state STATE         only lines in this state: expired, denied, failed, mismatch (leads to no trust anchor),
                        overdue_for_refresh, not_yet_issued, refused, waiting (for trust anchors), ended, ready, fresh
  --sort COLUMN         pod, signer, state, expiry, next (default: what needs a person first)
  --output table|wide|json
                        wide: names in full, key type and serial number (default: table)
  --watch               draw anew every two seconds, until stopped
  --socket PATH         the agent's --probe-socket, which only root can use (default: csi.sock.probe of the agents on
                        this machine, csi.podcert.io first: the first that answers is shown); where none answers,
                        127.0.0.1:9808 and 127.0.0.1:9809 are asked
  --address HOST:PORT   ask there instead: where the agent serves its status without asking for a token
`,
  inspect: `Usage: pod-certificate-agent inspect DIR [options]

Looks at every file of a projected volume, this agent's or the kubelet's: does the key belong to the leaf, does the
chain lead to the trust anchors or what is missing in between, when does it expire, who may read the key, is anything
there that does not belong. Needs no agent and no privileges; where the volume's own record can be read, it says whose
the trust anchors are, and which files are missing.

  --anchors FILE        trust anchors (PEM) to use instead of those in DIR
  --output text|json    (default: text)
  --strict              warnings count as failures
Exit code: 0 all is well, 1 something is wrong, 2 DIR cannot be read.
`,
  retry: `Usage: pod-certificate-agent retry --pod NAMESPACE/NAME | --all

For use after the cause of a failure was mended: credentials that would try again later try again now, but not within a
second of their last attempt. They are listed. Only root in the agent's container or on the node can do this.

  --pod NAMESPACE/NAME  those of one pod of this node
  --all                 those of every pod of this node
  --socket PATH         the agent's --probe-socket
                        (default: /var/lib/kubelet/plugins/csi.podcert.io/csi.sock.probe)
Exit code: 0 something tries again, 1 no agent answers or nothing was waiting, 2 the command line has faults.
`,
} as const;

/** As the agent's status has them; a test compares. */
const states = [
  'expired',
  'denied',
  'failed',
  'mismatch',
  'overdue_for_refresh',
  'not_yet_issued',
  'refused',
  'waiting',
  'ended',
  'ready',
  'fresh',
];
const sorts = ['pod', 'signer', 'state', 'expiry', 'next'];

const options = {
  status: {
    address: { type: 'string' },
    socket: { type: 'string' },
    filter: { type: 'string', default: '' },
    state: { type: 'string', default: '' },
    sort: { type: 'string', default: 'attention' },
    output: { type: 'string', default: 'table' },
    watch: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
  inspect: {
    anchors: { type: 'string' },
    output: { type: 'string', default: 'text' },
    strict: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
  retry: {
    pod: { type: 'string' },
    all: { type: 'boolean', default: false },
    socket: { type: 'string', default: defaultSocket },
    help: { type: 'boolean', short: 'h', default: false },
  },
} as const satisfies Record<Exclude<CommandName, 'probe'>, ParseArgsOptionsConfig>;

/** @param argv the arguments after the command's name @returns the exit code */
export async function runCommand(
  name: CommandName,
  argv: readonly string[],
  surroundings: CommandSurroundings,
): Promise<number> {
  const { stderr } = surroundings;
  const refuse: Refuse = (fault) => {
    stderr.write(`${fault}\npod-certificate-agent ${name} --help explains every option.\n`);
    return 2;
  };
  try {
    return await run(name, argv, surroundings, refuse);
  } catch (error) {
    return refuse(messageOf(error, 'the command failed'));
  }
}

type Refuse = (fault: string) => number;

/** @throws what is wrong with the arguments */
async function run(
  name: CommandName,
  argv: readonly string[],
  surroundings: CommandSurroundings,
  refuse: Refuse,
): Promise<number> {
  const args = [...argv];
  switch (name) {
    case 'status':
      return await runStatus(args, surroundings, refuse);
    case 'probe':
      return await probe(argv, surroundings);
    case 'retry': {
      const { values } = parseArgs({ args, options: options.retry });
      return values.help ? print(surroundings, usage.retry) : await retry(values, surroundings);
    }
    case 'inspect': {
      const { values, positionals } = parseArgs({ args, options: options.inspect, allowPositionals: true });
      const { anchors, output, strict, help } = values;
      const [directory, ...more] = positionals;
      if (help) {
        return print(surroundings, usage.inspect);
      }
      if (directory === undefined || more.length > 0) {
        return refuse('one directory must be named');
      }
      if (output !== 'text' && output !== 'json') {
        return refuse('--output must be text or json');
      }
      return inspect({ directory, anchors, output, strict, now: Date.now() }, surroundings);
    }
    default:
      return unreachable(name);
  }
}

async function runStatus(args: string[], surroundings: CommandSurroundings, refuse: Refuse): Promise<number> {
  const { values } = parseArgs({ args, options: options.status });
  const { output, help, socket, ...others } = values;
  if (help) {
    return print(surroundings, usage.status);
  }
  if (output !== 'table' && output !== 'wide' && output !== 'json') {
    return refuse('--output must be table, wide or json');
  }
  if (others.state !== '' && !states.includes(others.state)) {
    return refuse(`--state must be one of ${states.join(', ')}`);
  }
  if (others.sort !== 'attention' && !sorts.includes(others.sort)) {
    return refuse(`--sort must be one of ${sorts.join(', ')}`);
  }
  if (others.address !== undefined && !/^(\[[0-9a-f:]+\]|[^\s/:@?#]+):[1-9]\d{0,4}$/i.test(others.address)) {
    return refuse('--address must be HOST:PORT, such as 127.0.0.1:9808');
  }
  const sockets = socket === undefined ? findSockets() : [socket];
  return await status({ address: undefined, ...others, output, sockets }, surroundings);
}

function print({ stdout }: CommandSurroundings, text: string): number {
  stdout.write(text);
  return 0;
}
