/** Where the API server is and who we are to it: from a kubeconfig file, or from the pod that we run in. */

import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import type { Clock } from '../runtime/clock.ts';
import { type Authentication, type Credentials, refreshed } from './credentials.ts';

/** As client-go has it; the kubelet renews a token long before it expires. */
const TOKEN_FRESH_MILLISECONDS = 60_000;
const KUBECONFIG_FRESH_MILLISECONDS = 10_000;

export interface InCluster {
  /** KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT. */
  host: string;
  port: string;
  /** Where the service account is mounted. */
  directory?: string;
}

/** The service account of the pod that this program runs in. The token is read again every minute. */
export async function inClusterCredentials(pod: InCluster, clock: Clock): Promise<Credentials> {
  const directory = pod.directory ?? '/var/run/secrets/kubernetes.io/serviceaccount';
  const read = (name: string): Promise<string> => readFile(join(directory, name), 'utf8');
  const host = isIPv6(pod.host) ? `[${pod.host}]` : pod.host;
  return {
    server: new URL(`https://${host}:${pod.port}`),
    namespace: (await read('namespace')).trim(),
    authentication: refreshed(clock, TOKEN_FRESH_MILLISECONDS, async () => {
      const [token, ca] = await Promise.all([read('token'), read('ca.crt')]);
      return { headers: { authorization: `Bearer ${token.trim()}` }, tls: { ca } };
    }),
  };
}

export interface KubeconfigSource {
  /** Where absent: what KUBECONFIG names, else ~/.kube/config. */
  path?: string;
  /** Where absent: the file's current context. */
  context?: string;
}

/** A user of a kubeconfig: certificate, token, login program or OIDC. The file itself is never written. */
export async function kubeconfigCredentials(source: KubeconfigSource, clock: Clock): Promise<Credentials> {
  // Loaded here only: it takes 90 MB, which a program that runs in a pod need not hold.
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  if (source.path === undefined) config.loadFromDefault();
  else config.loadFromFile(source.path);
  if (source.context !== undefined) config.setCurrentContext(source.context);
  const cluster = config.getCurrentCluster();
  const context = config.getContextObject(config.currentContext);
  if (cluster === null || context === null) {
    throw new Error(`the kubeconfig has no context ${JSON.stringify(config.currentContext ?? '')} with a cluster`);
  }
  if (cluster.proxyUrl) throw new Error('a kubeconfig with a proxy-url is not supported');
  return {
    server: new URL(cluster.server),
    namespace: context.namespace,
    authentication: refreshed(clock, KUBECONFIG_FRESH_MILLISECONDS, async () => {
      const options: RequestOptions = { headers: {} };
      await config.applyToHTTPSOptions(options);
      return authenticationOf(options);
    }),
  };
}

/** What client-node puts into the options of an HTTPS request. */
function authenticationOf(options: RequestOptions): Authentication {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = String(value);
  if (options.auth) headers['authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
  const { ca, cert, key, servername, rejectUnauthorized } = options;
  return {
    headers,
    tls: {
      ...(isPem(ca) && { ca }),
      ...(isPem(cert) && { cert }),
      ...(isPem(key) && { key }),
      ...(servername !== undefined && { servername }),
      ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
    },
  };
}

const isPem = (value: unknown): value is string | Buffer => typeof value === 'string' || Buffer.isBuffer(value);
