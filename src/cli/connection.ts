/** What commands work through: always a client of the gateway, which for `--kube` is one of our own in this process. */

import { Coderun } from '../client/index.ts';
import type { Kube } from '../kube/port.ts';
import type { Io } from './io.ts';
import { note } from './io.ts';
import type { Target } from './target.ts';

export interface Connection extends AsyncDisposable {
  readonly client: Coderun;
  /** Where there is no gateway in between. */
  readonly cluster: { kube: Kube; namespace: string } | undefined;
}

export async function connect(target: Target, io: Io): Promise<Connection> {
  if (target.kind === 'kube') {
    // Loaded here only: a server and a kubeconfig's ways to log in are not needed to speak to a gateway.
    const { connectToCluster } = await import('./local-gateway.ts');
    return connectToCluster(target, io);
  }
  const { url, apiKey, namespace } = target;
  if (apiKey && isOpenToOthers(url)) await note(io, `the API key goes to ${url} unencrypted; use https://`);
  return {
    client: new Coderun({ baseUrl: url, apiKey, namespace }),
    cluster: undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

function isOpenToOthers(text: string): boolean {
  const { protocol, hostname } = new URL(text);
  return protocol === 'http:' && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}
