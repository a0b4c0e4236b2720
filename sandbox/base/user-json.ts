/** A user, in the form in which reviews and policies see one. */
import type { UserInfo } from './cluster-rules.ts';
import type { JsonObject } from './objects.ts';

/** authentication.k8s.io UserInfo in JSON. */
export function userJson(user: UserInfo): JsonObject {
  const extra = Object.entries(user.extra).map(([key, values]) => [key, [...values]]);
  return {
    username: user.username,
    ...(user.uid === undefined ? {} : { uid: user.uid }),
    groups: [...user.groups],
    ...(extra.length === 0 ? {} : { extra: Object.fromEntries(extra) }),
  };
}
