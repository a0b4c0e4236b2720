/**
 * Which credentials the status page shows, and in which order, by the query of its address. The server selects, so that
 * filter and sorting work without scripts and an address that is passed on shows the same.
 */

import { unreachable } from '../../base/unreachable.ts';
import type { CredentialEntry, StatusDocument, VolumeEntry } from './document.ts';
import { type LineState, lineStateNames, lineStates } from './state-words.ts';

/** One line of the page: a credential with its volume, or a volume that has none. */
export interface Row {
  readonly volume: VolumeEntry;
  readonly credential?: CredentialEntry;
}

const sortKeys = ['attention', 'pod', 'signer', 'key', 'state', 'expiry', 'next'] as const;
export type SortKey = (typeof sortKeys)[number];

export interface Selection {
  /** Words that must all occur in a line, in any column, in lower case. */
  readonly words: readonly string[];
  /** As it was typed. */
  readonly filter: string;
  /** A state, or empty for all. */
  readonly state: string;
  readonly sort: SortKey;
}

const maxFilterLength = 200;
/** Words of a filter; what follows is left out. Each is looked for in every line. */
const maxFilterWords = 8;

/** Reads `filter`, `state` and `sort`; what is not understood is left out. */
export function readSelection(query: URLSearchParams): Selection {
  const filter = (query.get('filter') ?? '').slice(0, maxFilterLength);
  const sort = sortKeys.find((key) => key === query.get('sort')) ?? 'attention';
  const words = filter
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '')
    .slice(0, maxFilterWords);
  return { words, filter, state: query.get('state') ?? '', sort };
}

/** The state of a line: its credential's, or its volume's where the certificate is there or none is asked for. */
export function stateOf({ volume, credential }: Row): LineState {
  if (credential === undefined) {
    return volume.status;
  }
  if (credential.state === 'not_yet_issued' && volume.waitsForAnchorsSince !== undefined) {
    return 'waiting';
  }
  const isMismatch = credential.trustMismatchSince !== undefined && credential.state === 'fresh';
  return isMismatch ? 'mismatch' : credential.state;
}

/** One line for each credential, and for each volume without one. */
export function rowsOf(document: StatusDocument): readonly Row[] {
  return document.volumes.flatMap((volume): readonly Row[] =>
    volume.credentials.length === 0 ? [{ volume }] : volume.credentials.map((credential) => ({ volume, credential })),
  );
}

export function selectRows(document: StatusDocument, { words, state, sort }: Selection): readonly Row[] {
  return rowsOf(document)
    .filter((row) => (state === '' || stateOf(row) === state) && hasWords(row, words))
    .map((row) => ({ row, key: `${sortText(row, sort)}\0${podText(row)}` }))
    .sort((one, other) => (one.key < other.key ? -1 : one.key > other.key ? 1 : 0))
    .map(({ row }) => row);
}

/** The document with no other volumes and credentials than those selected, in its own order. */
export function selectVolumes(document: StatusDocument, { words, state }: Selection): StatusDocument {
  const isSelected = (row: Row): boolean => (state === '' || stateOf(row) === state) && hasWords(row, words);
  const volumes = document.volumes.flatMap((volume): readonly VolumeEntry[] => {
    const credentials = volume.credentials.filter((credential) => isSelected({ volume, credential }));
    const isWhole = volume.credentials.length === 0 && isSelected({ volume });
    return credentials.length > 0 || isWhole ? [{ ...volume, credentials }] : [];
  });
  return { ...document, volumes };
}

function hasWords(row: Row, words: readonly string[]): boolean {
  if (words.length === 0) {
    return true;
  }
  const text = textOf(row);
  return words.every((word) => text.includes(word));
}

function textOf(row: Row): string {
  const { volume, credential } = row;
  const { namespace, pod, podUID, message } = volume;
  const own = [credential?.signerName, credential?.keyType, credential?.serial, credential?.request];
  const anchors = volume.trustAnchors.map(({ of }) => of);
  return [
    `${namespace}/${pod}`,
    podUID,
    volume.volume,
    stateOf(row),
    lineStates[stateOf(row)].words,
    ...own,
    credential?.lastError,
    message,
    ...anchors,
  ]
    .filter((text) => text !== undefined)
    .join('\n')
    .toLowerCase();
}

function podText({ volume, credential }: Row): string {
  return `${volume.namespace}/${volume.pod}/${volume.volume}/${credential?.source ?? ''}`;
}

/** RFC 3339 times in UTC sort as text; what has no time comes last. */
const last = '~';

function sortText(row: Row, sort: SortKey): string {
  const { volume, credential } = row;
  switch (sort) {
    case 'attention': {
      const place = lineStateNames.indexOf(stateOf(row));
      return `${String(place).padStart(2, '0')}${credential?.notAfter ?? last}`;
    }
    case 'pod':
      return '';
    case 'signer':
      return credential?.signerName ?? volume.trustAnchors[0]?.of ?? last;
    case 'key':
      return credential?.keyType ?? last;
    case 'state':
      return lineStates[stateOf(row)].words;
    case 'expiry':
      return credential?.notAfter ?? last;
    case 'next':
      return credential?.nextAttemptAt ?? credential?.refreshAt ?? last;
    default:
      return unreachable(sort);
  }
}
