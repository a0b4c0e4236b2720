/**
 * Java as a reader of keystores: `keytool`, and programs of one file that the `java` of a JDK runs from their source, in `java/`.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { missingPrograms } from './programs.ts';

/** Why tests that need Java are skipped; false when a JDK is here. */
export const javaIsMissing: string | false = missingPrograms('java', 'javac', 'keytool');

/** Words in English, and no more memory than it needs. */
export const javaOptions = ['-Duser.language=en', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];

/** @returns what keytool prints. @throws with its own words when it fails */
export function keytool(...args: readonly string[]): Promise<string> {
  const options = javaOptions.map((option) => `-J${option}`);
  return new Promise((resolve, reject) => {
    const child = execFile('keytool', [...options, ...args], (error, stdout, stderr) => {
      if (error === null) {
        resolve(stdout + stderr);
      } else {
        reject(new Error(`keytool: ${stdout}${stderr}`, { cause: error }));
      }
    });
    // It asks for a password that it is not given.
    child.stdin?.end('\n');
  });
}

/** The source of a program. */
export function javaProgram(name: string): string {
  return join(import.meta.dirname, 'java', `${name}.java`);
}
