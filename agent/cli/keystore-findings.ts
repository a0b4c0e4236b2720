/**
 * Judges keystores: whether a password that lies in the volume opens each, and whether each password opens something. What is in
 * them is judged with all other keys and certificates.
 */
import { singleLine } from '../base/redact.ts';
import { unreachable } from '../base/unreachable.ts';
import type { Contents, Keystore } from './credentials.ts';
import type { Finding } from './finding.ts';

export function judgeKeystores({ keystores, passwordFiles }: Contents): readonly Finding[] {
  const used = new Set(keystores.map(({ opening }) => (opening.type === 'opened' ? opening.passwordName : '')));
  const unused = passwordFiles.filter((path) => !used.has(path));
  return [
    ...keystores.map((keystore) => judgeKeystore(keystore, unused.length > 0)),
    ...unused.map(
      (path): Finding => ({
        level: 'fail',
        path,
        message: 'it is the password of no keystore, and nothing else either',
      }),
    ),
  ];
}

function judgeKeystore({ path, opening }: Keystore, hasPassword: boolean): Finding {
  switch (opening.type) {
    case 'opened': {
      const { passwordName, keys, certificates } = opening;
      const key = keys === 0 ? '' : 'a key and ';
      const held = `${key}${certificates} certificate${certificates === 1 ? '' : 's'}`;
      const message = `the keystore opens with the password in ${singleLine(passwordName, 200)}, and holds ${held}`;
      return { level: 'ok', path, message };
    }
    case 'locked':
      return hasPassword
        ? { level: 'fail', path, message: 'the keystore opens with no password that lies in the volume' }
        : {
            level: 'note',
            path,
            message:
              'the keystore opens with no password that can be read here, as where the pod gives one; look with openssl or keytool',
          };
    case 'unknown form':
      return { level: 'fail', path, message: 'it is a PKCS#12 file, but none of the form that the agent writes' };
    default:
      return unreachable(opening);
  }
}
