/**
 * Calls made with somebody else's token. None of the agent's own credentials may be sent along: the API server looks at
 * a client certificate before it looks at a token, and at impersonation headers after it.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/authentication/#authentication-strategies
 */
import type { Credentials, TlsMaterial } from './identity.ts';

export interface Bearer {
  /** Whose token it is, for messages. */
  readonly account: string;
  /** A function, so that nothing that prints a call prints the token. */
  readonly token: () => string;
}

/** @returns what is left of the agent's credentials for a bearer: where the server is, and whom to trust there */
export function createBearerCredentials(): (own: Credentials, bearer: Bearer) => Credentials {
  let from: TlsMaterial | undefined;
  let bare: TlsMaterial = {};
  return ({ server, tls }, bearer) => {
    // The same object as long as nothing has changed, so that connections are kept.
    if (from !== tls) {
      const { cert: _cert, key: _key, passphrase: _passphrase, pfx: _pfx, ...others } = tls;
      from = tls;
      bare = others;
    }
    return { server, tls: bare, headers: { Authorization: `Bearer ${bearer.token()}` } };
  };
}
