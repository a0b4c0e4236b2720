/**
 * `npm run quickstart`: runs the commands of docs/quickstart.md, in order, against the cluster that KUBECONFIG names.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { withinBound } from '../support/bounded.ts';
import { type Block, blocksIn, type Facts, quickstart, reasonAgainst, root } from './quickstart-blocks.ts';

const help = `Runs the commands of docs/quickstart.md, in order, against the cluster that KUBECONFIG names.

  KUBECONFIG=FILE npm run quickstart -- [options]

  --with <place>  Also run blocks of kind, minikube, k3s or docker. May be repeated.
  --list          Say which blocks would run, and why others would not; change nothing.
  --help          This text.

It installs the agent into kube-system and removes it again, and with --with makes clusters and images: take a cluster for trials.

Exit codes: 0 what could run has worked, 1 a block failed, 2 nothing could run.
`;

/** Longest time of one block, milliseconds. */
const blockMs = 600_000;
/** Time for a block to end after it was told to, milliseconds. */
const killMs = 10_000;
/** How often, and how far apart, a block is run until it prints what it should. */
const attempts = { count: 40, pauseMs: 3_000 };

const say = (text: string): boolean => process.stdout.write(`${text}\n`);

function output(program: string, args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8', timeout: 60_000 });
  return status === 0 ? stdout : undefined;
}

/** What is there now: blocks change it. */
function findFacts(wanted: readonly string[]): Facts {
  const version = /"serverVersion"[^}]*"minor": *"(\d+)/.exec(output('kubectl', ['version', '-o', 'json']) ?? '');
  const ready = ['get', 'nodes', '-o', 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'];
  return {
    has: (program) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0,
    minor: Number(version?.[1] ?? 0),
    hasReadyNode: /\bTrue\b/.test(output('kubectl', ready) ?? ''),
    hasCertManager: output('kubectl', ['get', 'crd', 'clusterissuers.cert-manager.io']) !== undefined,
    wanted,
  };
}

/** Runs a block once. @returns its output when it ended well */
async function runOnce({ text }: Block): Promise<string | undefined> {
  const child = spawn('bash', ['-euo', 'pipefail', '-c', text], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: blockMs,
  });
  const parts: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => {
    parts.push(part);
    process.stdout.write(part);
  });
  const [code] = await withinBound(once(child, 'close'), `the block to end:\n${text}`, blockMs + killMs);
  return code === 0 ? Buffer.concat(parts).toString('utf8') : undefined;
}

/** @returns what went wrong, if anything did */
async function runBlock(block: Block): Promise<string | undefined> {
  const { prints } = block;
  for (let attempt = 1; ; attempt++) {
    const printed = await runOnce(block);
    if (printed === undefined) {
      return 'a command failed';
    }
    if (prints === undefined || printed.includes(prints)) {
      return undefined;
    }
    if (attempt === attempts.count) {
      return `it never printed "${prints}"`;
    }
    await sleep(attempts.pauseMs);
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      with: { type: 'string', multiple: true, default: [] },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  if ((process.env['KUBECONFIG'] ?? '') === '') {
    process.stderr.write(
      'KUBECONFIG names no cluster: it is not guessed, because the agent is installed there. See --help.\n',
    );
    return 2;
  }
  if (output('kubectl', ['version', '-o', 'json']) === undefined) {
    process.stderr.write('kubectl gets no answer from that cluster, or is not on PATH.\n');
    return 2;
  }
  let ran = 0;
  for (const block of blocksIn(quickstart())) {
    const where = `docs/quickstart.md:${block.line}`;
    const reason = reasonAgainst(block, findFacts(values.with));
    if (reason !== undefined) {
      say(`-- ${where} (${block.place}) is left out: ${reason}`);
      continue;
    }
    ran++;
    say(`== ${where} (${block.place})\n${block.text.replaceAll(/^/gm, '   ')}`);
    const fault = values.list ? undefined : await runBlock(block);
    if (fault !== undefined) {
      say(`!! ${where}: ${fault}. What came before is still there: see "Clean up" in docs/quickstart.md.`);
      return 1;
    }
  }
  say(`${ran} blocks ${values.list ? 'would run' : 'have worked'}`);
  return ran > 0 ? 0 : 2;
}

process.exitCode = await main();
