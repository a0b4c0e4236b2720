/** What survives in volumes/csi/, each with its reason. */
import { becauseIn } from './because.ts';
import type { Explanation } from './explanation.ts';

const because = becauseIn('volumes/csi');
const refused = "if (typeof target === 'string' || !declared.ok || !flags.ok) {";

export const csi: readonly Explanation[] = [
  ...because('what is not right was refused in the statement before; only the type checker has to be told', {
    node: [
      ["typeof target === 'string' || !declared.ok || !flags.ok", 'false'],
      [
        "typeof target === 'string' || !declared.ok || !flags.ok",
        "(typeof target === 'string' || !declared.ok) && !flags.ok",
      ],
      ["typeof target === 'string' || !declared.ok", 'false'],
      ["typeof target === 'string' || !declared.ok", "typeof target === 'string' && !declared.ok"],
      ["typeof target === 'string'", 'false', refused],
      ["'string'", '""', refused],
      ["{ throw new CallError(status.INVALID_ARGUMENT, 'the request is invalid'); }", '{}'],
    ],
  }),
  ...because('a path is judged with errors of this kind alone', {
    node: [['error instanceof VolumeError', 'true']],
  }),
  ...because(
    'a call is judged with errors of this kind alone; another would be a fault of the agent, which is not hidden',
    {
      foresight: [
        ['{ if (error instanceof CallError) { return undefined; } throw error; }', '{}'],
        ['error instanceof CallError', 'true'],
      ],
    },
  ),
  ...because('a group that is absent is read as one that is empty', {
    foresight: [["{ volume_mount_group: '' }", '{}']],
  }),
  ...because(
    'it matters when another process comes between two calls that follow each other at once, and no test can',
    {
      socket: [
        ['{ force: true }', '{}'],
        ['true', 'false', 'fs.rmSync(socketPath, { force: true });'],
        ["systemCode(error) === 'EEXIST'", 'true'],
        ["code !== 'ENOENT'", 'true'],
        ["'ENOENT'", '""'],
      ],
    },
  ),
  ...because('of a message without fields nothing travels, nor of none', {
    server: [['async () => ({})', '() => undefined']],
  }),
  ...because('a server that has ended can be ended again; it is let go so that many losses cost no memory', {
    'kept-socket': [['() => servers.delete(server)', '() => undefined']],
  }),
  ...because('Linux has no such event; who listens has not to know that', {
    'kept-socket': [["'error'", '""']],
  }),
];
