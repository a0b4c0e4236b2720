/** The sentences of an event on a pod: what happened, to which volume and source, and, last of all, who can do what about it. */
import type { AgentError } from '../../base/errors.ts';
import { errorText, singleLine } from '../../base/redact.ts';
import type { CredentialNotice, Notice } from '../../lifecycle/notices.ts';
import { timeText } from '../../time/time-text.ts';

export interface EventText {
  readonly type: 'Normal' | 'Warning';
  /** One word in UpperCamelCase. */
  readonly reason: string;
  readonly message: string;
}

/** Leave room for the rest of the message, whose end says what to do, around what others wrote. */
export const maxQuoteLength = 480;
export const maxNameLength = 100;

/** Never "give what the message names": what a refusal names may be the right to act as anybody. */
export const byTheChart =
  'The agent needs the permissions that its chart gives it, and no permission beyond these (docs/troubleshooting.md).';

export type CredentialNoticeOf<Type extends CredentialNotice['type']> = CredentialNotice & { readonly type: Type };

export function warning(reason: string, sentences: readonly string[]): EventText {
  return { type: 'Warning', reason, message: sentences.join(' ') };
}

export function normal(reason: string, sentences: readonly string[]): EventText {
  return { type: 'Normal', reason, message: sentences.join(' ') };
}

/** `volume "mtls" sources[0]`: how the pod's own YAML names it. */
export function place(notice: Notice & { readonly source: number }): string {
  return `volume ${JSON.stringify(notice.volume.volumeName)} sources[${notice.source}]`;
}

/** The signer's name, cut where it is so long that the message would not fit. */
export function signerOf(notice: CredentialNotice): string {
  return singleLine(notice.signerName, maxNameLength);
}

/** What another side said, as one sentence in one line. */
export function quote(text: string, limit = maxQuoteLength): string {
  const line = singleLine(text, limit);
  if (line === '') {
    return 'no message.';
  }
  return /[.!?…]$/.test(line) ? line : `${line}.`;
}

/** RFC 3339 to the second, in UTC. */
export function moment(milliseconds: number): string {
  return timeText(milliseconds).replace(/\.\d+Z$/, 'Z');
}

export function notWritten(
  notice: Notice & { readonly source: number },
  what: string,
  error: AgentError,
  retryAt: number,
): EventText {
  return warning('FilesNotWritten', [
    `${place(notice)}: the ${what} could not be written: ${quote(errorText(error))}`,
    "The files stay as they were; ask the cluster operator to look into the log of this node's agent.",
    `The agent tries again at ${moment(retryAt)}.`,
  ]);
}
