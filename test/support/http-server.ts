/** An HTTP server on 127.0.0.1 whose every answer a test decides. */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

interface ReceivedRequest {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  body: string;
}

export interface HttpServer extends AsyncDisposable {
  readonly url: string;
  /** Every request so far, in order. */
  readonly requests: ReceivedRequest[];
  /** Connections so far. */
  readonly connections: number;
}

export type Answer = (response: ServerResponse, request: ReceivedRequest) => void;

/** Answers each request by the next of `answers`; the last one answers all that follow. */
export async function startHttpServer(...answers: Answer[]): Promise<HttpServer> {
  const requests: ReceivedRequest[] = [];
  const sockets = new Set<Socket>();
  const server = createServer(async (message, response) => {
    const answer = answers[Math.min(requests.length, answers.length - 1)];
    const request = { method: message.method ?? '', url: message.url ?? '', headers: message.headers, body: '' };
    requests.push(request);
    for await (const chunk of message) request.body += chunk;
    answer?.(response, request);
  });
  server.on('connection', (socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    get connections() {
      return sockets.size;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

export const answerJson =
  (code: number, body: unknown, headers: Record<string, string> = {}): Answer =>
  (response) =>
    response.writeHead(code, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));

/** Resets the connection in place of an answer. */
export const answerReset: Answer = (response) => {
  response.socket?.resetAndDestroy();
};

export const answerNever: Answer = () => undefined;
