/**
 * The form of a reply that a client asks for in its `Accept` header.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources
 */
import { ApiError } from '../base/errors.ts';

export interface Representation {
  /** The object itself, rows for people, or its metadata alone. */
  readonly as: 'object' | 'Table' | 'PartialObjectMetadata';
  readonly encoding: 'json' | 'yaml';
}

/** What one entry of an `Accept` header asks for. */
interface Wish {
  readonly mediaType: string;
  readonly parameters: Readonly<Record<string, string>>;
}

function wishes(accept: string): Wish[] {
  return accept.split(',').map((entry) => {
    const [mediaType = '', ...parameters] = entry.split(';').map((part) => part.trim());
    return {
      mediaType: mediaType.toLowerCase(),
      parameters: Object.fromEntries(parameters.map((part) => part.split('=') as [string, string])),
    };
  });
}

const encodings: Readonly<Record<string, 'json' | 'yaml'>> = {
  '': 'json',
  '*/*': 'json',
  'application/*': 'json',
  'application/json': 'json',
  'application/yaml': 'yaml',
};

/** Takes the first entry that can be served. @throws ApiError 406 when there is none */
export function negotiate(accept: string | undefined): Representation {
  for (const { mediaType, parameters } of wishes(accept ?? '')) {
    const encoding = encodings[mediaType];
    const { as = '', g = 'meta.k8s.io', v = 'v1' } = parameters;
    if (encoding === undefined || (as !== '' && (g !== 'meta.k8s.io' || v !== 'v1'))) {
      continue;
    }
    if (as === '' || as === 'Table') {
      return { as: as === '' ? 'object' : as, encoding };
    }
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') {
      return { as: 'PartialObjectMetadata', encoding };
    }
  }
  throw new ApiError(
    406,
    'NotAcceptable',
    '406: Not Acceptable\n\nAvailable representations: application/json, application/yaml',
    {},
  );
}
