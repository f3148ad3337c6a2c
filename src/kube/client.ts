/** The one implementation of `Kube`: what each question is in HTTP. */

import type { ResourceType } from '../api/group.ts';
import type { KubernetesObject } from '../api/object.ts';
import type { Random } from '../runtime/backoff.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';
import { openAttach } from './attach.ts';
import { createUpgradeAgents } from './connector.ts';
import type { ContainerStream } from './containerstream.ts';
import type { Credentials } from './credentials.ts';
import { startDeadline } from './deadline.ts';
import { failure } from './failure.ts';
import { collectionPath, objectPath, withQuery } from './paths.ts';
import type {
  DeleteOptions,
  Kube,
  List,
  ListOptions,
  LogOptions,
  NewObject,
  PatchOptions,
  WatchEvent,
  WatchOptions,
} from './port.ts';
import { PODS } from './resources.ts';
import { Transport } from './transport.ts';
import { watchEvents } from './watch.ts';

export interface KubeOptions {
  clock?: Clock;
  random?: Random;
  userAgent?: string;
  /** Whom Kubernetes names as the owner of the fields that we write. */
  fieldManager?: string;
  /** The most connections for calls at once (16); watches, logs and attached streams have their own. */
  connections?: number;
  /** For a whole call, repetitions included, and for a stream to open (30,000). */
  timeoutMilliseconds?: number;
  /** Of one answer, a list for instance (64 MiB). */
  responseLimitBytes?: number;
  /** Between two pings on an attached stream (15,000). */
  pingMilliseconds?: number;
}

export interface KubeClient extends Kube {
  /** Breaks off every call, watch and log, and closes the connections. Attached streams end by their own signal. */
  close(): Promise<void>;
}

const DEFAULTS = {
  clock: systemClock,
  random: Math.random,
  userAgent: 'coderun',
  fieldManager: 'coderun',
  connections: 16,
  timeoutMilliseconds: 30_000,
  responseLimitBytes: 64 * 1024 * 1024,
  pingMilliseconds: 15_000,
};

const PATCH_TYPES: Record<PatchOptions['strategy'], string> = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
};

/** After the server's own time for a watch, how long until it is broken off here. */
const WATCH_GRACE_MILLISECONDS = 10_000;

export const createKube = (credentials: Credentials, options: KubeOptions = {}): KubeClient =>
  new HttpKube(credentials, { ...DEFAULTS, ...options });

class HttpKube implements KubeClient {
  readonly #credentials: Credentials;
  readonly #options: Required<KubeOptions>;
  readonly #transport: Transport;
  readonly #agentFor: ReturnType<typeof createUpgradeAgents>;

  constructor(credentials: Credentials, options: Required<KubeOptions>) {
    this.#credentials = credentials;
    this.#options = options;
    this.#transport = new Transport(credentials, options);
    this.#agentFor = createUpgradeAgents(credentials);
  }

  async get<T extends KubernetesObject>(type: ResourceType, namespace: string | undefined, name: string): Promise<T> {
    return this.#transport.call<T>({ method: 'GET', path: objectPath(type, namespace, name), idempotent: true });
  }

  async list<T extends KubernetesObject>(type: ResourceType, options: ListOptions = {}): Promise<List<T>> {
    const { namespace, signal, ...query } = options;
    const path = withQuery(collectionPath(type, namespace), query);
    const list = await this.#transport.call<List<T>>({ method: 'GET', path, idempotent: true, signal });
    // Kubernetes' own types come without them in a list.
    for (const item of list.items) {
      item.apiVersion ??= type.apiVersion;
      item.kind ??= type.kind;
    }
    return list;
  }

  async *watch<T extends KubernetesObject>(type: ResourceType, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    const { namespace, signal, ...query } = options;
    const { clock, timeoutMilliseconds } = this.#options;
    using deadline = startDeadline(clock, options.timeoutSeconds * 1000 + WATCH_GRACE_MILLISECONDS, signal);
    const path = withQuery(collectionPath(type, namespace), { ...query, watch: true, allowWatchBookmarks: true });
    yield* watchEvents<T>(
      this.#transport.stream({
        path,
        signal: deadline.signal,
        headersTimeoutMilliseconds: timeoutMilliseconds,
        silenceTimeoutMilliseconds: 0,
      }),
    );
  }

  async create<T extends object>(type: ResourceType, object: NewObject): Promise<T> {
    const path = this.#writing(collectionPath(type, object.metadata.namespace));
    return this.#transport.call<T>({ method: 'POST', path, body: object, idempotent: false });
  }

  async replace<T extends KubernetesObject>(type: ResourceType, object: T): Promise<T> {
    return this.#put(type, object);
  }

  async replaceStatus<T extends KubernetesObject>(type: ResourceType, object: T): Promise<T> {
    return this.#put(type, object, 'status');
  }

  async patch<T extends KubernetesObject>(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    patch: unknown,
    { strategy, subresource }: PatchOptions,
  ): Promise<T> {
    const path = this.#writing(objectPath(type, namespace, name, subresource), strategy === 'apply');
    const contentType = PATCH_TYPES[strategy];
    return this.#transport.call<T>({
      method: 'PATCH',
      path,
      body: patch,
      contentType,
      idempotent: strategy !== 'json',
    });
  }

  async delete(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    options: DeleteOptions = {},
  ): Promise<void> {
    const { uid, resourceVersion, ...rest } = options;
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid, resourceVersion }, ...rest };
    await this.#transport.call({ method: 'DELETE', path: objectPath(type, namespace, name), body, idempotent: true });
  }

  async attach(namespace: string, pod: string, container: string, signal: AbortSignal): Promise<ContainerStream> {
    const path = objectPath(PODS, namespace, pod, 'attach');
    return this.#open(withQuery(path, { container, stdin: true, stdout: true }), signal);
  }

  async exec(
    namespace: string,
    pod: string,
    container: string,
    command: readonly string[],
    signal: AbortSignal,
  ): Promise<ContainerStream> {
    const path = objectPath(PODS, namespace, pod, 'exec');
    return this.#open(withQuery(path, { container, command, stdin: true, stdout: true }), signal);
  }

  async #open(path: string, signal: AbortSignal): Promise<ContainerStream> {
    const { clock, timeoutMilliseconds, pingMilliseconds } = this.#options;
    try {
      const headers = await this.#transport.headers();
      const agent = this.#agentFor(await this.#credentials.authentication());
      const url = this.#transport.url(path);
      return await openAttach({ url, headers, agent, clock, timeoutMilliseconds, pingMilliseconds, signal });
    } catch (error) {
      throw failure(error, signal);
    }
  }

  async *readLog(namespace: string, pod: string, options: LogOptions): AsyncGenerator<Uint8Array> {
    const { signal, ...query } = options;
    // A log that is followed is silent as long as its container is, even before the answer begins.
    const timeout = options.follow ? 0 : this.#options.timeoutMilliseconds;
    yield* this.#transport.stream({
      path: withQuery(objectPath(PODS, namespace, pod, 'log'), query),
      signal,
      headersTimeoutMilliseconds: timeout,
      silenceTimeoutMilliseconds: timeout,
    });
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  #put<T extends KubernetesObject>(type: ResourceType, object: T, subresource?: string): Promise<T> {
    const path = this.#writing(objectPath(type, object.metadata.namespace, object.metadata.name, subresource));
    return this.#transport.call<T>({ method: 'PUT', path, body: object, idempotent: true });
  }

  /** `path` as it is for a write: Kubernetes notes who wrote which field. */
  #writing(path: string, force = false): string {
    return withQuery(path, { fieldManager: this.#options.fieldManager, ...(force && { force }) });
  }
}
