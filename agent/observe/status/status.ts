/**
 * `/statusz`: the status in the form that is asked for, as `?format=` says or else by the Accept header. A browser gets
 * the page, a program that asks for JSON gets JSON, curl gets text.
 */

import { createWorker, type Steps } from '../../../volumes/base/steps.ts';
import { unreachable } from '../../base/unreachable.ts';
import { type Reply, textReply } from '../reply.ts';
import { type StatusDocument, type StatusSources, statusDocumentInSteps } from './document.ts';
import { pagePolicy, statusPage } from './page.ts';
import { readSelection, selectVolumes } from './selection.ts';
import { statusText } from './text.ts';

const formats = ['text', 'json', 'html'] as const;
type Format = (typeof formats)[number];

export type StatusReply = (sources: StatusSources, query: URLSearchParams, accept: string) => Promise<Reply>;

/** Makes replies in steps, whoever asks: however much there is to tell, other work is not held up. */
export function createStatusReply(): StatusReply {
  const worker = createWorker();
  return (...question) => worker.carryOut(statusReplyInSteps(...question), () => undefined);
}

/** @param accept the request's Accept header, or nothing */
export function* statusReplyInSteps(sources: StatusSources, query: URLSearchParams, accept: string): Steps<Reply> {
  const format = formatOf(query.get('format'), accept);
  if (format === undefined) {
    return textReply(400, `format must be one of ${formats.join(', ')}`);
  }
  const document = yield* statusDocumentInSteps(sources);
  const selection = readSelection(query);
  const headers = { Vary: 'Accept' };
  switch (format) {
    case 'text':
      return textReply(200, statusText(document, selection, query.has('wide')).trimEnd(), headers);
    case 'json': {
      const body = yield* jsonInSteps(selectVolumes(document, selection));
      return { status: 200, contentType: 'application/json', body, headers };
    }
    case 'html': {
      const body = statusPage(document, selection);
      const policy = { 'Content-Security-Policy': pagePolicy, 'Referrer-Policy': 'no-referrer' };
      return { status: 200, contentType: 'text/html; charset=utf-8', body, headers: { ...headers, ...policy } };
    }
    default:
      return unreachable(format);
  }
}

/** The volumes, which are most of it, one by one. */
function* jsonInSteps({ volumes, ...rest }: StatusDocument): Steps<string> {
  const texts: string[] = [];
  for (const volume of volumes) {
    texts.push(JSON.stringify(volume));
    yield;
  }
  const head = JSON.stringify(rest).slice(0, -1);
  return `${head},"volumes":[${texts.join(',')}]}\n`;
}

function formatOf(asked: string | null, accept: string): Format | undefined {
  if (asked !== null) {
    return formats.find((format) => format === asked);
  }
  if (/\btext\/html\b/i.test(accept)) {
    return 'html';
  }
  return /\bapplication\/json\b/i.test(accept) ? 'json' : 'text';
}
