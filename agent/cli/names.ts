/** The names of the subcommands, apart from their code, which an agent that starts need not load. */

export type CommandName = 'status' | 'inspect' | 'probe' | 'retry';

export function isCommand(word: string): word is CommandName {
  return word === 'status' || word === 'inspect' || word === 'probe' || word === 'retry';
}
