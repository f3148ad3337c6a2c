/** Credentials for tests. */

import type { Authentication, Credentials } from '../../src/kube/credentials.ts';

/** Credentials that don't change. */
export const fixedCredentials = (server: string, authentication: Authentication): Credentials => ({
  server: new URL(server),
  namespace: undefined,
  authentication: () => Promise.resolve(authentication),
});
