#!/usr/bin/env node
/**
 * `node sandbox/approver.ts`: approves the agent's CertificateSigningRequests in the cluster of a kubeconfig, or says in each one
 * what speaks against it, until it is interrupted. It signs nothing.
 *
 * Exit codes: 0 after an interruption, 2 for a wrong option.
 */
import { once } from 'node:events';
import { createSandboxClient } from './base/client.ts';
import { startApprover } from './signers/approver.ts';
import { approverHelp, parseApproverOptions } from './signers/approver-options.ts';

/** The longest time that a timer can be set to. */
const longestMs = 2 ** 31 - 1;
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const complain = (line: string): void => void process.stderr.write(`${line}\n`);

const command = parseApproverOptions(process.argv.slice(2));
switch (command.type) {
  case 'help':
    say(approverHelp);
    break;
  case 'invalid':
    complain(`${command.fault}\nNothing was started; --help explains every option.`);
    process.exitCode = 2;
    break;
  case 'run': {
    const { kubeconfig, ...rules } = command.options;
    const client = createSandboxClient(kubeconfig, 'pod-certificate-approver');
    const approver = startApprover({
      ...rules,
      client,
      onDecision: (name, isApproved, message) => say(`${isApproved ? 'approved' : 'denied'} ${name}: ${message}`),
      onProblem: complain,
    });
    say(`approves for ${rules.signers.join(', ')}`);
    // Between two attempts to reach an API server that is away nothing else keeps a process alive.
    const awake = setInterval(() => undefined, longestMs);
    await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
    clearInterval(awake);
    approver.close();
    client.close();
    break;
  }
  default:
    command satisfies never;
}
