/** The part of the fault proxy for attached containers: two WebSockets joined, message by message. */

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import type { Credentials } from '../../src/kube/credentials.ts';
import { type Fault, type Message, messageOf, type When } from './fault-rules.ts';

export interface Joining {
  credentials: Credentials;
  take: (message: Message) => Fault | undefined;
  request: IncomingMessage;
  socket: Duplex;
  head: Buffer;
}

const STDIN = 0;

export async function joinSockets({ credentials, take, request, socket, head }: Joining): Promise<void> {
  const opening = messageOf(request, '');
  const fault = take(opening);
  if (fault?.type === 'answer') return void socket.end(rawAnswer(fault.status, fault.reason));
  const { headers, tls } = await credentials.authentication();
  const protocols = String(request.headers['sec-websocket-protocol'] ?? '').split(/, */);
  const upstream = new WebSocket(new URL(request.url ?? '/', credentials.server), protocols, {
    headers,
    ...tls,
    perMessageDeflate: false,
  });
  upstream.on('error', () => socket.destroy());
  upstream.once('unexpected-response', (_request, answer: IncomingMessage) => {
    text(answer).then(
      (body) => socket.end(rawAnswer(answer.statusCode ?? 502, body)),
      () => socket.destroy(),
    );
  });
  upstream.once('open', () => {
    const server = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      handleProtocols: () => upstream.protocol,
    });
    server.handleUpgrade(request, socket, head, (client) => join(client, upstream, opening, take));
  });
}

const rawAnswer = (status: number, body: string): string =>
  `HTTP/1.1 ${status} Refused\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`;

function join(client: WebSocket, upstream: WebSocket, opening: Message, take: Joining['take']): void {
  const cut = () => {
    client.terminate();
    upstream.terminate();
  };
  client.on('error', cut);
  client.on('close', () => upstream.close());
  upstream.on('close', () => client.close());
  upstream.on('message', (data, isBinary) => client.send(data, { binary: isBinary }));
  let last = Promise.resolve();
  client.on('message', (data, isBinary) => {
    const send = () => upstream.send(data, { binary: isBinary });
    const line = stdinOf(data);
    // One after the other, however long a call takes.
    last = last.then(() =>
      line === undefined ? send() : passLine({ ...opening, method: 'STDIN', body: line }, take, send, cut),
    );
    last.catch(cut);
  });
}

async function passLine(line: Message, take: Joining['take'], send: () => void, cut: () => void): Promise<void> {
  const fault = take(line);
  const isCutAt = async (when: When): Promise<boolean> => {
    if (!fault || !('when' in fault) || fault.when !== when) return false;
    return fault.type === 'cut' || (await fault.call()) === 'cut';
  };
  if (await isCutAt('before')) return cut();
  send();
  if (await isCutAt('after')) cut();
}

function stdinOf(data: RawData): string | undefined {
  const frame = Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer);
  return frame[0] === STDIN && frame.length > 1 ? frame.subarray(1).toString() : undefined;
}
