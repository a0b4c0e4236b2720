/** The names of the subcommands, apart from what they do: an agent that starts needs no more than the names. */

export type CommandName = 'status' | 'inspect' | 'probe' | 'retry';

export function isCommand(word: string): word is CommandName {
  return word === 'status' || word === 'inspect' || word === 'probe' || word === 'retry';
}
