/** Requests to the API server over kept connections: bounded in time, in size and in number. */

import { type Dispatcher, Pool } from 'undici';
import { AbortError } from '../runtime/abort.ts';
import type { Random } from '../runtime/backoff.ts';
import type { Clock } from '../runtime/clock.ts';
import { createConnector } from './connector.ts';
import type { Credentials } from './credentials.ts';
import { startDeadline } from './deadline.ts';
import { KubeError } from './error.ts';
import { failure, parseJson } from './failure.ts';
import { retryDelay } from './retry.ts';
import { readRefusal } from './status.ts';

export interface TransportOptions {
  clock: Clock;
  random: Random;
  userAgent: string;
  /** Connections for calls. Streams have others, so that no number of them starves calls. */
  connections: number;
  /** For a whole call, repetitions included. */
  timeoutMilliseconds: number;
  responseLimitBytes: number;
}

export interface Call {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  body?: unknown;
  contentType?: string;
  /** Sent twice, it does what it does when sent once. */
  idempotent: boolean;
  signal?: AbortSignal | undefined;
}

export interface StreamRequest {
  path: string;
  signal?: AbortSignal | undefined;
  /** How long the answer may take to begin, in milliseconds; 0 is for ever. */
  headersTimeoutMilliseconds: number;
  /** How long nothing may come, in milliseconds; 0 is for ever. */
  silenceTimeoutMilliseconds: number;
}

/** Below the API server's 90 s: it must not close a connection at the moment that we send on it. */
const KEEP_ALIVE_MILLISECONDS = 60_000;

export class Transport {
  readonly #credentials: Credentials;
  readonly #options: TransportOptions;
  readonly #calls: Pool;
  readonly #streams: Pool;
  /** An API server behind a proxy may lie below a path. */
  readonly #prefix: string;

  constructor(credentials: Credentials, options: TransportOptions) {
    this.#credentials = credentials;
    this.#options = options;
    this.#prefix = credentials.server.pathname.replace(/\/$/, '');
    const shared = {
      connect: createConnector(credentials),
      allowH2: false,
      keepAliveTimeout: KEEP_ALIVE_MILLISECONDS,
      keepAliveMaxTimeout: KEEP_ALIVE_MILLISECONDS,
    };
    this.#calls = new Pool(credentials.server.origin, {
      ...shared,
      connections: options.connections,
      headersTimeout: options.timeoutMilliseconds,
      bodyTimeout: options.timeoutMilliseconds,
      maxResponseSize: options.responseLimitBytes,
    });
    this.#streams = new Pool(credentials.server.origin, shared);
  }

  /** The answer's JSON. Rejects with `KubeError`, or with `AbortError` when the signal aborts. */
  async call<T>(call: Call): Promise<T> {
    const { clock, random, timeoutMilliseconds } = this.#options;
    const deadline = clock.monotonic() + timeoutMilliseconds;
    const body = call.body === undefined ? null : JSON.stringify(call.body);
    for (let failures = 1; ; failures++) {
      try {
        return (await this.#attempt(call, body, deadline - clock.monotonic())) as T;
      } catch (error) {
        const delay = error instanceof KubeError ? retryDelay(error, call.idempotent, failures, random) : undefined;
        if (delay === undefined || clock.monotonic() + delay >= deadline) throw error;
        await clock.sleep(delay, call.signal);
      }
    }
  }

  async #attempt(call: Call, body: string | null, timeoutMilliseconds: number): Promise<unknown> {
    using deadline = startDeadline(this.#options.clock, timeoutMilliseconds, call.signal);
    try {
      const response = await this.#calls.request({
        method: call.method,
        path: this.#prefix + call.path,
        headers: {
          ...(await this.headers()),
          ...(body !== null && { 'content-type': call.contentType ?? 'application/json' }),
        },
        body,
        signal: deadline.signal,
      });
      return parseJson(await (await accepted(response)).text());
    } catch (error) {
      throw failure(error, deadline.signal);
    }
  }

  /** The bytes of an answer that goes on for long. Ends quietly when the signal aborts, unless with a `KubeError`. */
  async *stream(request: StreamRequest): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      const response = await this.#streams.request({
        method: 'GET',
        path: this.#prefix + request.path,
        headers: await this.headers(),
        signal: request.signal ?? null,
        headersTimeout: request.headersTimeoutMilliseconds,
        bodyTimeout: request.silenceTimeoutMilliseconds,
      });
      yield* await accepted(response);
    } catch (error) {
      const failed = failure(error, request.signal);
      if (!(failed instanceof AbortError)) throw failed;
    }
  }

  /** What every request carries. */
  async headers(): Promise<Record<string, string>> {
    const { headers } = await this.#credentials.authentication();
    return { ...headers, accept: 'application/json, */*', 'user-agent': this.#options.userAgent };
  }

  url(path: string): URL {
    return new URL(this.#credentials.server.origin + this.#prefix + path);
  }

  /** Breaks off whatever still goes on. */
  async close(): Promise<void> {
    await Promise.all([this.#calls.destroy(), this.#streams.destroy()]);
  }
}

async function accepted({
  statusCode,
  headers,
  body,
}: Dispatcher.ResponseData): Promise<Dispatcher.ResponseData['body']> {
  if (statusCode >= 300) throw await readRefusal(statusCode, headers, body);
  return body;
}
