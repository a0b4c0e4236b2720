/**
 * How a signer of the sandbox answers: properly, or wrong in one of the ways that real signers go wrong.
 */
import type { KeyType } from '../../volumes/declaration/key-types.ts';

/**
 * - `instant`: a good certificate at once.
 * - `slow`: a good certificate after `delayMs`.
 * - `denying`, `failing`: the condition of that name, at once.
 * - `onlyKeyTypes`: a good certificate for the key types it supports; any other is denied with reason
 *   `UnsupportedKeyType` and a message that suggests the first supported one.
 * - `silent`: no answer, ever. A request that was left alone is not answered later either.
 * - `wrongKey`: a certificate for another key than the one asked for.
 * - `wrongOrder`: a good certificate, its chain written intermediate first.
 * - `garbage`: a chain that is no certificate.
 * - `clockSkewed`: a certificate whose times lie `skewMs` (positive or negative) from the truth.
 *
 * A well-behaved API server refuses most of the last four. They reach the agent through the signer's back door, see
 * `WriteUnchecked`.
 */
export type Behaviour =
  | { readonly type: 'instant' }
  | { readonly type: 'slow'; readonly delayMs: number }
  | { readonly type: 'denying'; readonly reason: string; readonly message: string }
  | { readonly type: 'failing'; readonly reason: string; readonly message: string }
  | { readonly type: 'onlyKeyTypes'; readonly supported: readonly [KeyType, ...KeyType[]] }
  | { readonly type: 'silent' }
  | { readonly type: 'wrongKey' }
  | { readonly type: 'wrongOrder' }
  | { readonly type: 'garbage' }
  | { readonly type: 'clockSkewed'; readonly skewMs: number };

/** True for an answer that the API server is expected to refuse. */
export function needsBackDoor(behaviour: Behaviour): boolean {
  switch (behaviour.type) {
    case 'wrongKey':
    case 'wrongOrder':
    case 'garbage':
    case 'clockSkewed':
      return true;
    case 'instant':
    case 'slow':
    case 'denying':
    case 'failing':
    case 'onlyKeyTypes':
    case 'silent':
      return false;
    default:
      return behaviour satisfies never;
  }
}
