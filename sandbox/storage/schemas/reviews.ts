/**
 * The types that ask a question and are not stored: reviews of tokens and of permissions, and requests for tokens.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/
 * https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/
 */
import { any, bool, int64, kindOf, list, map, type StructSchema, struct, text } from './schema.ts';

const authentication = 'io.k8s.api.authentication.v1';
const authorization = 'io.k8s.api.authorization.v1';

export const tokenRequest = kindOf(
  `${authentication}.TokenRequest`,
  'Asks for a token of a service account.',
  {
    spec: struct(
      `${authentication}.TokenRequestSpec`,
      'What the token is for.',
      {
        audiences: list(text(), 'Who accepts the token.'),
        expirationSeconds: int64('Wished-for lifetime; at least 600.'),
        boundObjectRef: struct(`${authentication}.BoundObjectReference`, 'The object with which the token dies.', {
          kind: text('Pod, Node or Secret.'),
          apiVersion: text(),
          name: text(),
          uid: text(),
        }),
      },
      ['audiences'],
    ),
    status: any('The token and when it expires.'),
  },
  ['spec'],
);

const userInfo = struct(`${authentication}.UserInfo`, 'A user.', {
  username: text(),
  uid: text(),
  groups: list(text()),
  extra: map(list(text())),
});

export const tokenReview = kindOf(
  `${authentication}.TokenReview`,
  'Asks whose a token is.',
  {
    spec: struct(`${authentication}.TokenReviewSpec`, 'The token.', { token: text(), audiences: list(text()) }),
    status: struct(`${authentication}.TokenReviewStatus`, 'Whose it is.', {
      authenticated: bool(),
      user: userInfo,
      audiences: list(text()),
      error: text(),
    }),
  },
  ['spec'],
);

export const selfSubjectReview = kindOf(`${authentication}.SelfSubjectReview`, 'Asks who the caller is.', {
  status: struct(`${authentication}.SelfSubjectReviewStatus`, 'The caller.', { userInfo }),
});

const accessFields = {
  resourceAttributes: struct(`${authorization}.ResourceAttributes`, 'A request for a resource.', {
    namespace: text(),
    verb: text(),
    group: text(),
    version: text(),
    resource: text(),
    subresource: text(),
    name: text(),
    fieldSelector: any(),
    labelSelector: any(),
  }),
  nonResourceAttributes: struct(`${authorization}.NonResourceAttributes`, 'A request for another path.', {
    path: text(),
    verb: text(),
  }),
};

export function accessReview(
  kind: 'SubjectAccessReview' | 'LocalSubjectAccessReview' | 'SelfSubjectAccessReview',
): StructSchema {
  const user = { user: text(), groups: list(text()), extra: map(list(text())), uid: text() };
  const specKind = kind === 'SelfSubjectAccessReview' ? 'SelfSubjectAccessReviewSpec' : 'SubjectAccessReviewSpec';
  return kindOf(
    `${authorization}.${kind}`,
    'Asks whether a user may do something.',
    {
      spec: struct(`${authorization}.${specKind}`, 'Who and what.', {
        ...accessFields,
        ...(kind === 'SelfSubjectAccessReview' ? {} : user),
      }),
      status: struct(`${authorization}.SubjectAccessReviewStatus`, 'The answer.', {
        allowed: bool(),
        denied: bool(),
        reason: text(),
        evaluationError: text(),
      }),
    },
    ['spec'],
  );
}

export const selfSubjectRulesReview = kindOf(
  `${authorization}.SelfSubjectRulesReview`,
  'Asks what the caller may do in a namespace.',
  {
    spec: struct(`${authorization}.SelfSubjectRulesReviewSpec`, 'The namespace.', { namespace: text() }),
    status: any('The rules.'),
  },
  ['spec'],
);
