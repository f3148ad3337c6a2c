/** What the gateway needs from outside: all of it is handed in, so that tests hand in their own. */

import type { FastifyBaseLogger } from 'fastify';
import type { CodeBatch } from '../api/codebatch.ts';
import type { CodeRun } from '../api/coderun.ts';
import type { ReplSession } from '../api/replsession.ts';
import { MIB } from '../api/schema.ts';
import type { Kube } from '../kube/port.ts';
import type { Admission } from './admission.ts';
import type { LanguageModel } from './llm/model.ts';
import type { Identify } from './plugins/identify.ts';
import type { SessionBridges } from './session-bridges.ts';

/** The objects of one kind as a watch last saw them; it may lag behind the API server. */
export interface ObjectWatch<T> {
  /** Of one that has ended, only metadata and conditions need be there: thousands of them must not fill the memory. */
  get(namespace: string, name: string): T | undefined;
  /** Calls `listener` after every change of this object: with all of it, or with undefined when it is gone. */
  onChange(namespace: string, name: string, listener: (object: T | undefined) => void): Disposable;
}

export interface Clock {
  now(): Date;
  /** Milliseconds since some moment; never goes back. */
  monotonic(): number;
  /** Calls `fn` once after `milliseconds`, unless disposed before. */
  after(milliseconds: number, fn: () => void): Disposable;
}

/** `count` bytes that nobody can predict. */
export type RandomBytes = (count: number) => Uint8Array;

export interface FinishedRequest {
  method: string;
  /** The route's pattern, or `unmatched`: never the URL, whose values have no end. */
  route: string;
  status: number;
  seconds: number;
}

export interface GatewayMetrics {
  requestFinished(request: FinishedRequest): void;
  /** How many requests wait for a run or stream its output now. */
  heldRequests(count: number): void;
}

/** Every limit of the gateway. Times are in milliseconds. */
export interface GatewayLimits {
  bodyBytes: number;
  /** Request line and headers together. */
  headerBytes: number;
  connections: number;
  /** Requests that wait for a run or stream its output at once; more are refused with 503. */
  heldRequests: number;
  /** The same for one caller: more are refused with 429, so that nobody takes all. */
  heldRequestsPerCaller: number;
  /** Wrong credentials from one address. */
  failedAttemptsPerMinute: number;
  /** Requests of one caller, where their API key says nothing else. */
  requestsPerMinute: number;
  /** Requests of all callers of one namespace. */
  namespaceRequestsPerMinute: number;
  /** How long a client may take to send its headers, and the whole request. */
  headersTimeout: number;
  requestTimeout: number;
  /** The same for the whole of a request whose body is a file. */
  uploadTimeout: number;
  /** How long a connection may stand still within a request that is not held. */
  connectionTimeout: number;
  /** How long a connection may stand still between two requests. */
  keepAliveTimeout: number;
  /** How long a client may leave a stream unread. */
  stalledReaderTimeout: number;
  /** After how long without an event a stream of events says that it is alive. */
  heartbeat: number;
  /** How long POST /execute waits beyond the timeout of the program: for its sandbox, and for its result. */
  executeOverhead: number;
  /** How late the process may be before requests are refused. */
  eventLoopLag: number;
  /** How long a closing gateway lets requests finish. */
  drainTimeout: number;
}

export const GATEWAY_LIMITS: GatewayLimits = {
  bodyBytes: MIB,
  headerBytes: 16 * 1024,
  connections: 2000,
  heldRequests: 1000,
  heldRequestsPerCaller: 500,
  failedAttemptsPerMinute: 20,
  requestsPerMinute: 6000,
  namespaceRequestsPerMinute: 12_000,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  uploadTimeout: 900_000,
  connectionTimeout: 60_000,
  keepAliveTimeout: 65_000,
  stalledReaderTimeout: 60_000,
  heartbeat: 15_000,
  executeOverhead: 330_000,
  eventLoopLag: 1000,
  drainTimeout: 25_000,
};

export interface GatewayConfig {
  /** Name of the container of a sandbox pod whose log is the journal. */
  sandboxContainer: string;
  /** The SandboxClass that POST /execute uses for `allow_network: true`. */
  internetClassName: string;
  /** The SandboxClass of the sessions of /repl, where there is one of this name: one with a package index. */
  packagesClassName: string;
  /** Values of the header Origin that are answered; browsers on every other page are refused. */
  allowedOrigins: readonly string[];
  limits: GatewayLimits;
}

/** In PEM: the chain of the server, and its private key. */
export interface Certificate {
  cert: string;
  key: string;
}

export interface GatewayDeps {
  kube: Kube;
  runs: ObjectWatch<CodeRun>;
  batches: ObjectWatch<CodeBatch>;
  sessions: ObjectWatch<ReplSession>;
  bridges: SessionBridges;
  clock: Clock;
  random: RandomBytes;
  identify: Identify;
  admission: Admission;
  /** How late the process is, in milliseconds; undefined where nobody measures. */
  lag?: (() => number) | undefined;
  config: GatewayConfig;
  logger: FastifyBaseLogger;
  /** Undefined means plain HTTP. */
  certificate?: Certificate | undefined;
  /** Undefined where none is configured: there is no agent then. */
  languageModel?: LanguageModel;
  metrics?: GatewayMetrics;
}
