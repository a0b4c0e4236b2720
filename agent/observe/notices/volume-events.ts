/** What a pod's author is told of a volume as a whole, and of the program that reads it. */
import { singleLine } from '../../base/redact.ts';
import type { Notice } from '../../lifecycle/notices.ts';
import { type EventText, maxNameLength, moment, quote, warning } from './event-text.ts';

const maxContainers = 3;

export function mountedBySubPath({ volume, containers }: Notice & { readonly type: 'mountedBySubPath' }): EventText {
  const [shown, more] = [containers.slice(0, maxContainers), containers.length - maxContainers];
  const names = [...shown.map((name) => singleLine(name, maxNameLength)), ...(more > 0 ? [`${more} more`] : [])];
  return warning('MountedBySubPath', [
    `volume ${JSON.stringify(volume.volumeName)}: mounted with subPath by ${names.join(', ')}, which will not see a renewal:`,
    'a subPath shows the file as it was when the container started, and its certificate expires there.',
    'Mount the whole volume at a directory of its own, and have the program read its files from there.',
  ]);
}

export function servesOther(notice: Notice & { readonly type: 'servesOther' }): EventText {
  const { volume, since, serialNumber, notAfter, hasExpired } = notice;
  return warning('OldCertificateServed', [
    `volume ${JSON.stringify(volume.volumeName)}: its files changed at ${moment(since)}, and the program still serves certificate ${serialNumber},`,
    `which ${hasExpired ? 'expired' : 'expires'} at ${moment(notAfter)} and is not the one in the files.`,
    'Have the program read its files again, now by hand or by a restart of the pod, and from now on by reload in the volume’s attributes,',
    'if it does not watch them. If it is meant to serve another certificate at that port, correct probe.',
  ]);
}

export function notSeen(notice: Notice & { readonly type: 'notSeen' }): EventText {
  const { volume, since, detail, isFinal = false } = notice;
  return warning('ProbeFailed', [
    `volume ${JSON.stringify(volume.volumeName)}: its files changed at ${moment(since)}, and it cannot be seen whether the program serves them: ${quote(detail)}`,
    'Compare probe in the volume’s attributes with what the program serves, and let the agent reach that port (a NetworkPolicy may keep it away).',
    isFinal ? 'It is not looked at again before the next change.' : 'The agent goes on looking.',
  ]);
}

/** Said once a change: attempts that are followed by another are in the log. */
export function notReloaded(notice: Notice & { readonly type: 'notReloaded' }): EventText | undefined {
  const { volume, way, attempts, detail, retryAt } = notice;
  return retryAt === undefined
    ? warning('NotReloaded', [
        `volume ${JSON.stringify(volume.volumeName)}: ${attempts === 0 ? 'the pod cannot be told of new files' : `the pod could not be told of the new files in ${attempts === 1 ? 'one attempt' : `${attempts} attempts`}`}:`,
        `${quote(detail)} The files are in place; a program that does not look at them goes on with those before.`,
        `Compare reload.${way} in the volume's attributes with what the program takes, and tell it by hand for now.`,
        'The agent tries again after the next change.',
      ])
    : undefined;
}
