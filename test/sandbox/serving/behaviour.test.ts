/**
 * The common behaviour, of the sandbox, and of a real API server where one is given:
 * `REAL_API_URL`, `REAL_API_CA` (file) and `REAL_API_TOKEN` (of a user in system:masters).
 */
import { readFileSync } from 'node:fs';
import { after, before, describe } from 'node:test';
import type { ApiServer } from '../../../sandbox/serving/server.ts';
import { startApiServer } from '../../../sandbox/serving/server.ts';
import { apiBehaviour } from './behaviour.ts';
import { admin, openRules } from './open-rules.ts';

describe('the sandbox', () => {
  let server: ApiServer | undefined;
  before(async () => {
    server = await startApiServer({ rules: openRules(), kubernetes: '1.36' });
  });
  after(() => server?.close());
  apiBehaviour(() => {
    if (server === undefined) {
      throw new Error('the server has not been started');
    }
    return { url: server.url, caPem: server.caPem, token: server.userToken(admin) };
  });
});

const { REAL_API_URL: url, REAL_API_CA: caFile, REAL_API_TOKEN: token } = process.env;
if (url !== undefined && caFile !== undefined && token !== undefined) {
  describe('a real API server', () => {
    apiBehaviour(() => ({ url, caPem: readFileSync(caFile, 'utf8'), token }));
  });
}
