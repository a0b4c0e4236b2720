/**
 * A sandbox API server for one test: started, and closed when the test ends.
 */
import type { TestContext } from 'node:test';
import type { ApiServer, ApiServerOptions } from '../../../sandbox/serving/server.ts';
import { startApiServer } from '../../../sandbox/serving/server.ts';
import type { Target } from './client.ts';
import { admin, openRules } from './open-rules.ts';

export interface Sandbox {
  readonly server: ApiServer;
  readonly target: Target;
}

export async function startSandbox(
  t: Pick<TestContext, 'after'>,
  options: Partial<ApiServerOptions> = {},
): Promise<Sandbox> {
  const server = await startApiServer({ rules: openRules(), kubernetes: '1.36', ...options });
  t.after(() => server.close());
  return { server, target: { url: server.url, caPem: server.caPem, token: server.userToken(admin) } };
}
