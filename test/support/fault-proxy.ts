/** Stands between a program and its API server: passes on what they say, counts it, and harms it as a test asks for. */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Agent, request as requestHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Credentials } from '../../src/kube/credentials.ts';
import { joinSockets } from './fault-proxy-attach.ts';
import { type EventFault, type Fault, isAsked, type Message, messageOf, type Rule, type When } from './fault-rules.ts';

export interface FaultProxy extends AsyncDisposable {
  /** Speaks plain HTTP, so that nobody needs a certificate of ours. */
  readonly url: string;
  /** What was sent to change something, in order: requests other than GET, and lines to attached containers. */
  readonly writes: Message[];
  /** Harms what `rule` matches, from now on; the first of several rules that match decides. */
  add(rule: Rule): void;
  /** Changes events of the watches that `fault` matches, also of those that are open. */
  changeEvents(fault: EventFault): void;
  /** From now on everything is passed on as it is. */
  heal(): void;
  /** Breaks off every connection: requests, watches and attached streams. */
  cutConnections(): void;
}

export async function startFaultProxy(credentials: Credentials): Promise<FaultProxy> {
  const writes: Message[] = [];
  const rules: Rule[] = [];
  const eventFaults: EventFault[] = [];
  const connections = new Set<Duplex>();
  const agent = new Agent({ keepAlive: true });
  const upstream: Upstream = { credentials, agent, eventFaults };

  const take = (message: Message): Fault | undefined => {
    if (message.method !== 'GET') writes.push(message);
    return rules.find((rule) => isAsked(rule, message))?.fault;
  };

  const server = createServer((request, response) => {
    serve(upstream, take, request, response).catch(() => response.destroy());
  });
  server.on('connection', (socket) => {
    connections.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => connections.delete(socket));
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    joinSockets({ credentials, take, request, socket, head }).catch(() => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cutConnections = () => {
    for (const connection of connections) connection.destroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    writes,
    add: (rule) => rules.push(rule),
    changeEvents: (fault) => eventFaults.push(fault),
    heal: () => {
      rules.length = 0;
      eventFaults.length = 0;
    },
    cutConnections,
    [Symbol.asyncDispose]: async () => {
      cutConnections();
      agent.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

interface Upstream {
  credentials: Credentials;
  agent: Agent;
  eventFaults: readonly EventFault[];
}

async function serve(
  upstream: Upstream,
  take: (message: Message) => Fault | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const message = messageOf(request, await text(request));
  const fault = take(message);
  if (fault?.type === 'answer') return refuse(response, fault);
  if (fault?.type === 'list') return void response.setHeader('content-type', 'application/json').end(fault.body);
  if (fault?.when === 'before' && (await harm(fault, response))) return;
  const answer = await forward(upstream, request, message.body);
  if (fault?.when === 'after') {
    const body = await text(answer);
    if (await harm(fault, response)) return;
    response.writeHead(answer.statusCode ?? 502, { 'content-type': answer.headers['content-type'] }).end(body);
    return;
  }
  response.writeHead(answer.statusCode ?? 502, endToEnd(answer));
  // A watch that has nothing to tell begins nevertheless.
  response.flushHeaders();
  response.once('close', () => answer.destroy());
  if (message.query.has('watch') && answer.statusCode === 200) await passEvents(upstream, message, answer, response);
  else await pipeline(answer, response);
}

/** True where the client is left without an answer. */
async function harm(fault: Extract<Fault, { when: When }>, response: ServerResponse): Promise<boolean> {
  const isCut = fault.type === 'cut' || (await fault.call()) === 'cut';
  if (isCut) response.destroy();
  return isCut;
}

function refuse(response: ServerResponse, fault: Extract<Fault, { type: 'answer' }>): void {
  const { status: code, reason, retryAfterSeconds } = fault;
  const body = {
    apiVersion: 'v1',
    kind: 'Status',
    status: 'Failure',
    code,
    reason,
    message: `refused by a test: ${reason}`,
  };
  if (retryAfterSeconds !== undefined) response.setHeader('retry-after', retryAfterSeconds);
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

async function forward(
  { credentials, agent }: Upstream,
  request: IncomingMessage,
  body: string,
): Promise<IncomingMessage> {
  const { headers, tls } = await credentials.authentication();
  const forwarded = requestHttps(new URL(request.url ?? '/', credentials.server), {
    agent,
    ...tls,
    method: request.method ?? 'GET',
    headers: { ...passedOn(request), ...headers, ...(body && { 'content-length': Buffer.byteLength(body) }) },
  });
  forwarded.end(body);
  const [answer] = await once(forwarded, 'response');
  return answer;
}

const passedOn = ({ headers }: IncomingMessage): Record<string, string> =>
  Object.fromEntries(
    ['accept', 'content-type', 'user-agent'].flatMap((name) => (headers[name] ? [[name, String(headers[name])]] : [])),
  );

const endToEnd = ({ headers }: IncomingMessage): Record<string, string> =>
  Object.fromEntries(
    ['content-type', 'retry-after'].flatMap((name) => (headers[name] ? [[name, String(headers[name])]] : [])),
  );

/** Passes on the events of a watch in their order, each as often and as late as the faults of the moment say. */
async function passEvents(
  { eventFaults }: Upstream,
  message: Message,
  answer: IncomingMessage,
  response: ServerResponse,
) {
  let last = Promise.resolve();
  for await (const line of createInterface({ input: answer, crlfDelay: Number.POSITIVE_INFINITY })) {
    const fault = eventFaults.find(({ match }) => match(message));
    const due = performance.now() + (fault?.delayMilliseconds ?? 0);
    const copies = fault?.copies?.(JSON.parse(line)) ?? 1;
    last = last.then(async () => {
      const left = due - performance.now();
      if (left > 0) await sleep(left);
      if (copies > 0) response.write(`${line}\n`.repeat(copies));
    });
  }
  await last;
  response.end();
}
