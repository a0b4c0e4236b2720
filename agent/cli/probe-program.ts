/**
 * `probe` as a program of its own, dist/probe.mjs. The kubelet starts it every few seconds on every node, and loading
 * the whole agent for one question would cost several times as much.
 */
import { probe } from './probe.ts';

const { argv, stdout, stderr } = process;
// The kubelet ends a probe that takes too long; nothing else does.
process.exitCode = await probe(argv.slice(2), { stdout, stderr, stopping: new AbortController().signal });
