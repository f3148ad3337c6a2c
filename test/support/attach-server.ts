/** Plays the API server's side of `pods/attach` on 127.0.0.1: a test decides what each peer is sent. */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';

/** One attached client, as the server sees it. */
export interface AttachedPeer {
  readonly request: IncomingMessage;
  readonly socket: WebSocket;
  /** Frames that the client sent, in order. */
  readonly frames: Buffer[];
  /** What the client sent on channel 0. */
  stdin(): Buffer;
  /** Resolves when the kernel has taken the frame. */
  send(channel: number, data: string | Uint8Array): Promise<void>;
  /** Resets the connection, without a word. */
  reset(): void;
}

export interface AttachServer extends AsyncDisposable {
  readonly url: URL;
  /** The next client that attaches, or has attached and was not asked for. */
  next(): Promise<AttachedPeer>;
}

export interface AttachServerOptions {
  /** Answers the request for an upgrade in place of accepting it. */
  answer?: (socket: Duplex, request: IncomingMessage) => void;
  /** Called within the handshake's own tick. */
  greet?: (peer: AttachedPeer) => void;
  answersPings?: boolean;
}

export async function startAttachServer(options: AttachServerOptions = {}): Promise<AttachServer> {
  const sockets = new Set<Socket>();
  const arrived: AttachedPeer[] = [];
  const waiting: ((peer: AttachedPeer) => void)[] = [];
  const webSockets = new WebSocketServer({ noServer: true, autoPong: options.answersPings ?? true });
  const server = createServer();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    if (options.answer !== undefined) {
      options.answer(socket, request);
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      const peer = createPeer(request, socket, webSocket);
      options.greet?.(peer);
      const taken = waiting.shift();
      if (taken === undefined) arrived.push(peer);
      else taken(peer);
    });
  });
  return {
    url: await listen(server),
    next: () => {
      const peer = arrived.shift();
      return peer === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(peer);
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

async function listen(server: Server): Promise<URL> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

function createPeer(request: IncomingMessage, connection: Socket, socket: WebSocket): AttachedPeer {
  const frames: Buffer[] = [];
  socket.on('error', () => undefined);
  socket.on('message', (frame: Buffer) => frames.push(Buffer.from(frame)));
  return {
    request,
    socket,
    frames,
    stdin: () => Buffer.concat(frames.filter((frame) => frame[0] === 0).map((frame) => frame.subarray(1))),
    send: (channel, data) =>
      new Promise((resolve, reject) => {
        const frame = Buffer.concat([Uint8Array.of(channel), Buffer.from(data)]);
        socket.send(frame, (error) => (error ? reject(error) : resolve()));
      }),
    reset: () => connection.resetAndDestroy(),
  };
}
