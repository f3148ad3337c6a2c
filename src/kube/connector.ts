/** How connections to the API server are opened: with the TLS material of the moment, resuming TLS sessions. */

import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { createSecureContext, type SecureContext } from 'node:tls';
import { buildConnector } from 'undici';
import type { Authentication, Credentials, Tls } from './credentials.ts';

const CONNECT_TIMEOUT_MILLISECONDS = 10_000;
/** After so long a silence the kernel probes the peer every second, and breaks the connection after ten probes. */
const PROBE_AFTER_MILLISECONDS = 15_000;

/** Opens the connections of an undici pool. */
export function createConnector(credentials: Credentials): buildConnector.connector {
  const connectorFor = perTls((tls) =>
    buildConnector({
      ...withContext(tls),
      allowH2: false,
      keepAlive: true,
      keepAliveInitialDelay: PROBE_AFTER_MILLISECONDS,
      timeout: CONNECT_TIMEOUT_MILLISECONDS,
    }),
  );
  return async (options, callback) => {
    try {
      const { tls } = await credentials.authentication();
      connectorFor(tls)(options, callback);
    } catch (error) {
      // Certificates that can't be parsed, for instance.
      callback(error as Error, null);
    }
  };
}

/** Opens connections that leave HTTP by an upgrade: each has a socket of its own. */
export function createUpgradeAgents(credentials: Credentials): (authentication: Authentication) => HttpAgent {
  const agentFor = perTls((tls) =>
    credentials.server.protocol === 'https:'
      ? new HttpsAgent({ ...withContext(tls), ...NO_REUSE })
      : new HttpAgent(NO_REUSE),
  );
  return ({ tls }) => agentFor(tls);
}

const NO_REUSE = { keepAlive: false, maxSockets: Number.POSITIVE_INFINITY };

/** One context for all connections: parsing the certificates anew takes time and 35 KB for each. */
const withContext = ({
  ca,
  cert,
  key,
  ...rest
}: Tls): Omit<Tls, 'ca' | 'cert' | 'key'> & { secureContext: SecureContext } => ({
  ...rest,
  secureContext: createSecureContext({ ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) }),
});

/** What `make` made of the latest TLS material. */
function perTls<T>(make: (tls: Tls) => T): (tls: Tls) => T {
  let latest: { tls: Tls; made: T } | undefined;
  return (tls) => {
    if (latest?.tls !== tls) latest = { tls, made: make(tls) };
    return latest.made;
  };
}
