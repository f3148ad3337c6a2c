/** The port for the kubelet and for Prometheus: /livez, /readyz and /metrics. */

import { createServer, type Server, type ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';

export interface HealthOptions {
  port: number;
  register: Registry;
  /** Whether the process can do its work now. */
  isReady: () => boolean;
}

/** Listens until it is closed. Rejects where the port is taken. */
export async function startHealthServer({ port, register, isReady }: HealthOptions): Promise<Server> {
  const answer = async (path: string | undefined, response: ServerResponse): Promise<void> => {
    if (path === '/metrics') {
      response.setHeader('content-type', register.contentType).end(await register.metrics());
      return;
    }
    const known = path === '/livez' || path === '/readyz';
    const healthy = path === '/livez' || isReady();
    response
      .writeHead(known ? (healthy ? 200 : 503) : 404)
      .end(known ? (healthy ? 'ok\n' : 'not ready\n') : 'not found\n');
  };
  const server = createServer((request, response) => {
    answer(request.url, response).catch(() => response.writeHead(500).end());
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject).listen(port, resolve);
  await promise;
  return server;
}
