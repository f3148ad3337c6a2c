/** A gateway over an API server in memory, with time that stands still, and words for what happens to its runs. */

import type { FastifyBaseLogger, FastifyInstance, InjectOptions } from 'fastify';
import type { CodeBatch } from '../../src/api/codebatch.ts';
import type { CodeRun, CodeRunStatus } from '../../src/api/coderun.ts';
import { succeededCondition } from '../../src/api/conditions.ts';
import { CODE_BATCHES, CODE_RUNS, REPL_SESSIONS, type ResourceType } from '../../src/api/group.ts';
import type { Reason } from '../../src/api/reasons.ts';
import type { ReplSession } from '../../src/api/replsession.ts';
import { Admission } from '../../src/gateway/admission.ts';
import { bearerIdentity } from '../../src/gateway/auth/bearer.ts';
import { KeyStore } from '../../src/gateway/auth/key-store.ts';
import { Reviews } from '../../src/gateway/auth/reviews.ts';
import {
  type Certificate,
  type FinishedRequest,
  GATEWAY_LIMITS,
  type GatewayConfig,
  type GatewayLimits,
  type ObjectWatch,
} from '../../src/gateway/deps.ts';
import type { LanguageModel } from '../../src/gateway/llm/model.ts';
import type { Identify } from '../../src/gateway/plugins/identify.ts';
import type { ProblemBody } from '../../src/gateway/problem.ts';
import { isEnded } from '../../src/gateway/run-view.ts';
import { buildGateway } from '../../src/gateway/server.ts';
import { SessionBridges } from '../../src/gateway/session-bridges.ts';
import { BATCH_CENSUS, censusOf, RUN_CENSUS, SESSION_CENSUS } from '../../src/roles/census.ts';
import { FakeClock, settle } from './clock.ts';
import { FakeKube } from './fake-kube.ts';

export const NAMESPACE = 'tenant';

type Watched = CodeRun | CodeBatch | ReplSession;

/** Sees the objects of a kind in `kube` at once, or only when it is told to look; keeps no results. */
class FakeWatch<T extends Watched> implements ObjectWatch<T> {
  readonly #kube: FakeKube;
  readonly #type: ResourceType;
  readonly #listeners = new Map<string, Set<(object: T | undefined) => void>>();
  #objects = new Map<string, T>();
  lags = false;

  constructor(kube: FakeKube, type: ResourceType) {
    this.#kube = kube;
    this.#type = type;
    kube.onWrite(() => {
      if (!this.lags) this.look();
    });
  }

  get(namespace: string, name: string): T | undefined {
    const object = this.#objects.get(`${namespace}/${name}`);
    if (!object || !isEnded(object)) return object;
    const spec = { ...object.spec, code: undefined, items: [] };
    return { ...object, spec, status: { conditions: object.status?.conditions ?? [] } };
  }

  onChange(namespace: string, name: string, listener: (object: T | undefined) => void): Disposable {
    const key = `${namespace}/${name}`;
    const listeners = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, listeners.add(listener));
    return { [Symbol.dispose]: () => listeners.delete(listener) };
  }

  /** As the store of the role finds objects. */
  by(indexes: Record<string, (object: T) => string[]>): { by: (index: string, value: string) => T[] } {
    return {
      by: (index, value) => [...this.#objects.values()].filter((object) => indexes[index]?.(object).includes(value)),
    };
  }

  look(): void {
    const before = this.#objects;
    const objects = this.#kube.all<T>(this.#type);
    this.#objects = new Map(objects.map((one) => [`${one.metadata.namespace}/${one.metadata.name}`, one]));
    for (const [key, listeners] of this.#listeners) {
      const object = this.#objects.get(key);
      if (before.get(key)?.metadata.resourceVersion !== object?.metadata.resourceVersion)
        for (const listener of [...listeners]) listener(object);
    }
  }

  get listening(): number {
    return [...this.#listeners.values()].reduce((sum, listeners) => sum + listeners.size, 0);
  }
}

export class FakeRunWatch extends FakeWatch<CodeRun> {
  constructor(kube: FakeKube) {
    super(kube, CODE_RUNS);
  }
}

export interface WorldOptions {
  limits?: Partial<GatewayLimits>;
  config?: Partial<Omit<GatewayConfig, 'limits'>>;
  /** Instead of API keys and tokens that `kube` knows. */
  identify?: Identify;
  /** If left out, callers may be anonymous. */
  bearer?: { anonymousNamespace?: string; audience?: string };
  queuedRuns?: number;
  lag?: () => number;
  certificate?: Certificate;
  languageModel?: LanguageModel;
}

export function aWorld(options: WorldOptions = {}) {
  const { limits, config, queuedRuns = 1000, certificate, lag, languageModel } = options;
  const clock = new FakeClock();
  const kube = new FakeKube(() => clock.now());
  const runs = new FakeRunWatch(kube);
  const batches = new FakeWatch<CodeBatch>(kube, CODE_BATCHES);
  const sessions = new FakeWatch<ReplSession>(kube, REPL_SESSIONS);
  const bridges = new SessionBridges({
    exec: ({ namespace, podName }, signal) => kube.exec(namespace, podName, 'sandbox', ['bridge'], signal),
    clock,
    limit: 4,
  });
  const logged: unknown[] = [];
  const finished: FinishedRequest[] = [];
  const held: number[] = [];
  let random = 0;
  const app = buildGateway({
    kube,
    runs,
    batches,
    sessions,
    bridges,
    clock,
    identify: identityOf(options, kube, clock, aLogger(logged)),
    admission: new Admission({
      census: censusOf({
        runs: runs.by(RUN_CENSUS),
        batches: batches.by(BATCH_CENSUS),
        sessions: sessions.by(SESSION_CENSUS),
      }),
      clock,
      queuedRuns,
    }),
    certificate,
    lag,
    random: (count) => Uint8Array.from({ length: count }, () => random++ % 256),
    config: {
      sandboxContainer: 'sandbox',
      internetClassName: 'internet',
      packagesClassName: 'packages',
      allowedOrigins: [],
      ...config,
      limits: { ...GATEWAY_LIMITS, ...limits },
    },
    logger: aLogger(logged),
    ...(languageModel && { languageModel }),
    metrics: { requestFinished: (request) => finished.push(request), heldRequests: (count) => held.push(count) },
  });
  return { app, clock, kube, runs, batches, sessions, bridges, logged, finished, held, ...words(app, kube) };
}

function identityOf({ identify, bearer }: WorldOptions, kube: FakeKube, clock: FakeClock, logger: FastifyBaseLogger) {
  if (identify) return identify;
  const { anonymousNamespace, audience } = bearer ?? { anonymousNamespace: NAMESPACE };
  const keys = new KeyStore({ kube, clock, logger });
  return bearerIdentity({ keys, reviews: new Reviews({ kube, clock, audience }), clock, anonymousNamespace });
}

function words(app: FastifyInstance, kube: FakeKube) {
  const allRuns = () => kube.all<CodeRun>(CODE_RUNS);
  const setStatus = async (reason: Reason, status: CodeRunStatus = {}, name?: string): Promise<CodeRun> => {
    const run = allRuns().find((candidate) => name === undefined || candidate.metadata.name === name);
    if (!run) throw new Error('there is no such run');
    const condition = succeededCondition(reason, '', 1, new Date(0), undefined);
    return kube.replaceStatus(CODE_RUNS, { ...run, status: { ...status, conditions: [condition] } });
  };
  return {
    allRuns,
    setStatus,
    send: (request: InjectOptions) => app.inject(request),
    get: (url: string, headers: Record<string, string> = {}) => app.inject({ method: 'GET', url, headers }),
    post: (url: string, payload: object | string, headers: Record<string, string> = {}) =>
      app.inject({ method: 'POST', url, payload, headers: { 'content-type': 'application/json', ...headers } }),
    delete: (url: string, headers: Record<string, string> = {}) => app.inject({ method: 'DELETE', url, headers }),
    /** Lets requests go on until `condition` holds. */
    until: async (condition: () => boolean): Promise<void> => {
      for (let turn = 0; turn < 1000; turn++) {
        if (condition()) return;
        await settle();
      }
      throw new Error('what was waited for never came');
    },
  };
}

export type Answer = Awaited<ReturnType<ReturnType<typeof aWorld>['get']>>;

/** The parts of a problem that tests are about; fails on anything that isn't one. */
export function problemOf(answer: Answer): ProblemBody {
  if (!String(answer.headers['content-type']).startsWith('application/problem+json'))
    throw new Error(`not a problem: ${answer.statusCode} ${answer.body}`);
  return answer.json();
}

function aLogger(logged: unknown[]): FastifyBaseLogger {
  const write = (...entry: unknown[]) => void logged.push(entry);
  const logger = {
    level: 'trace',
    fatal: write,
    error: write,
    warn: write,
    info: write,
    debug: write,
    trace: write,
    silent: write,
  };
  return Object.assign(logger, { child: () => aLogger(logged) }) as unknown as FastifyBaseLogger;
}
