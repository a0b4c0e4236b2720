/** Everything that is fuzzed, by the name of its folder in `corpus/`. Each is loaded by itself: the more code, the slower its counting. */
import type { FuzzTarget } from './target.ts';

export const targets: Readonly<Record<string, () => Promise<FuzzTarget>>> = {
  declarations: async () => (await import('./targets/declarations.ts')).declarations,
  chains: async () => (await import('./targets/chains.ts')).chains,
  certificates: async () => (await import('./targets/certificates.ts')).certificates,
  'api-replies': async () => (await import('./targets/api-replies.ts')).apiReplies,
  'state-files': async () => (await import('./targets/state-files.ts')).stateFiles,
  'kubelet-calls': async () => (await import('./targets/kubelet-calls.ts')).kubeletCalls,
};
