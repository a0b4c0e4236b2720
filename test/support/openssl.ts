/**
 * OpenSSL's command line as a second opinion: an implementation and a process apart from the code under test.
 */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory } from './directory.ts';

export interface OpenSsl {
  /**
   * Runs `openssl <args>` and gives its standard output. In the arguments, bytes stand for a file that holds them.
   * @throws with OpenSSL's own words when it exits with another status than 0
   */
  run(...args: readonly (string | Uint8Array)[]): Promise<Buffer>;
}

export function createOpenSsl(): OpenSsl {
  const directory = makeDirectory();
  let files = 0;

  function fileOf(bytes: Uint8Array): string {
    files += 1;
    const path = join(directory, String(files));
    writeFileSync(path, bytes, { mode: 0o600 });
    return path;
  }

  return {
    run: (...args) =>
      new Promise((resolve, reject) => {
        const words = args.map((word) => (typeof word === 'string' ? word : fileOf(word)));
        execFile('openssl', words, { encoding: 'buffer' }, (error, stdout, stderr) => {
          if (error === null) {
            resolve(stdout);
          } else {
            reject(new Error(`openssl ${words[0]}: ${stdout}${stderr}`, { cause: error }));
          }
        });
      }),
  };
}
