/** An API server in memory: versions, conflicts, generations, merge patches, pages, watches and logs behave as the real one's. */

import type { ResourceType } from '../../src/api/group.ts';
import type { KubernetesObject } from '../../src/api/object.ts';
import { KubeError } from '../../src/kube/error.ts';
import type {
  AttachedStream,
  DeleteOptions,
  Kube,
  List,
  ListOptions,
  LogOptions,
  NewObject,
  PatchOptions,
  WatchEvent,
  WatchOptions,
} from '../../src/kube/port.ts';

type ObjectEvent = Exclude<WatchEvent<KubernetesObject>, { type: 'BOOKMARK' }>;
type Stored = KubernetesObject & { spec?: unknown; status?: unknown };
/** The log of a container: what is in it, and for one that goes on, what comes. */
export type FakeLog = Uint8Array | ((options: LogOptions) => AsyncIterable<Uint8Array>);

export class FakeKube implements Kube {
  readonly #objects = new Map<string, Stored>();
  readonly #history: { type: ResourceType; event: ObjectEvent }[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #faults = new Map<keyof Kube, Error[]>();
  readonly #logs = new Map<string, FakeLog>();
  readonly #answers = new Map<string, (question: object) => object>();
  readonly #now: () => Date;
  #version = 0;
  #uid = 0;
  /** What `exec` gives; nothing runs here by itself. */
  onExec: ((namespace: string, pod: string, command: readonly string[]) => AttachedStream) | undefined;

  constructor(now: () => Date = () => new Date(0)) {
    this.#now = now;
  }

  /** The next call of `method` fails with `error`, before it does anything. */
  fail(method: keyof Kube, error: Error): void {
    this.#faults.set(method, [...(this.#faults.get(method) ?? []), error]);
  }

  /** Creating an object of this kind stores nothing: it is answered by `answer`. */
  answer(kind: string, answer: (question: object) => object): void {
    this.#answers.set(kind, answer);
  }

  setLog(namespace: string, pod: string, log: FakeLog): void {
    this.#logs.set(`${namespace}/${pod}`, log);
  }

  /** Calls `listener` after every write. */
  onWrite(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /** Every object of a type, without the bounds of a request. */
  all<T extends KubernetesObject>(type: ResourceType): T[] {
    const prefix = `${type.apiVersion}/${type.plural}/`;
    return [...this.#objects]
      .filter(([key]) => key.startsWith(prefix))
      .map(([, object]) => structuredClone(object) as T);
  }

  async get<T extends KubernetesObject>(type: ResourceType, namespace: string | undefined, name: string): Promise<T> {
    this.#fault('get');
    return structuredClone(this.#find(type, namespace, name)) as T;
  }

  async list<T extends KubernetesObject>(type: ResourceType, options: ListOptions = {}): Promise<List<T>> {
    this.#fault('list');
    const from = options.continue === undefined ? '' : decodeToken(options.continue);
    const matching = this.all<T>(type)
      .filter((object) => options.namespace === undefined || object.metadata.namespace === options.namespace)
      .filter((object) => matches(object, options.labelSelector))
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
      .filter((object) => object.metadata.name > from);
    const items = matching.slice(0, options.limit ?? matching.length);
    const last = items.at(-1)?.metadata.name;
    const rest = items.length < matching.length && last !== undefined ? { continue: encodeToken(last) } : {};
    return { items, metadata: { resourceVersion: String(this.#version), ...rest } };
  }

  async *watch<T extends KubernetesObject>(type: ResourceType, options: WatchOptions): AsyncIterable<WatchEvent<T>> {
    this.#fault('watch');
    for (let next = 0; !options.signal.aborted; ) {
      const entry = this.#history[next];
      if (!entry) {
        await this.#written(options.signal);
        continue;
      }
      next++;
      const { object } = entry.event;
      const isNew = Number(object.metadata.resourceVersion) > Number(options.resourceVersion);
      const isOurs = options.namespace === undefined || object.metadata.namespace === options.namespace;
      if (entry.type === type && isNew && isOurs && matches(object, options.labelSelector))
        yield structuredClone(entry.event) as WatchEvent<T>;
    }
  }

  async create<T extends object>(type: ResourceType, object: NewObject): Promise<T> {
    this.#fault('create');
    const answer = this.#answers.get(type.kind);
    if (answer) return structuredClone(answer(structuredClone(object))) as T;
    const name = object.metadata.name ?? `${object.metadata.generateName}${this.#uid}`;
    if (this.#objects.has(keyOf(type, object.metadata.namespace, name)))
      throw new KubeError(409, 'AlreadyExists', `${type.plural} "${name}" already exists`);
    const { generateName: _, ...metadata } = object.metadata;
    return this.#store(type, 'ADDED', {
      ...structuredClone(object),
      metadata: {
        ...structuredClone(metadata),
        name,
        uid: `uid-${++this.#uid}`,
        resourceVersion: '',
        generation: 1,
        creationTimestamp: this.#now().toISOString(),
      },
    }) as T;
  }

  async replace<T extends KubernetesObject>(type: ResourceType, object: T): Promise<T> {
    this.#fault('replace');
    const current = this.#current(type, object);
    return this.#update(type, current, { ...structuredClone(object), status: current.status } as Stored) as T;
  }

  async replaceStatus<T extends KubernetesObject>(type: ResourceType, object: T): Promise<T> {
    this.#fault('replaceStatus');
    const current = this.#current(type, object);
    return this.#update(type, current, { ...current, status: structuredClone((object as Stored).status) }) as T;
  }

  async patch<T extends KubernetesObject>(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    patch: unknown,
    { strategy, subresource }: PatchOptions,
  ): Promise<T> {
    this.#fault('patch');
    if (strategy !== 'merge') throw new KubeError(415, 'UnsupportedMediaType', 'only merge patches work here');
    const current = this.#find(type, namespace, name);
    const merged = merge(current, patch) as Stored;
    const next =
      subresource === 'status' ? { ...current, status: merged.status } : { ...merged, status: current.status };
    return this.#update(type, current, next) as T;
  }

  async delete(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    options: DeleteOptions = {},
  ): Promise<void> {
    this.#fault('delete');
    const current = this.#find(type, namespace, name);
    const { uid, resourceVersion } = current.metadata;
    if ((options.uid ?? uid) !== uid || (options.resourceVersion ?? resourceVersion) !== resourceVersion)
      throw new KubeError(409, 'Conflict', 'the precondition does not hold');
    this.#store(type, 'DELETED', current);
  }

  attach(): Promise<AttachedStream> {
    return Promise.reject(new KubeError(501, 'NotImplemented', 'nothing runs here'));
  }

  async exec(
    namespace: string,
    pod: string,
    _container: string,
    command: readonly string[],
    signal: AbortSignal,
  ): Promise<AttachedStream> {
    this.#fault('exec');
    if (!this.onExec) throw new KubeError(501, 'NotImplemented', 'nothing runs here');
    const stream = this.onExec(namespace, pod, command);
    signal.addEventListener('abort', () => stream.close());
    return stream;
  }

  async *readLog(namespace: string, pod: string, options: LogOptions): AsyncIterable<Uint8Array> {
    this.#fault('readLog');
    const log = this.#logs.get(`${namespace}/${pod}`);
    if (!log) throw new KubeError(404, 'NotFound', `pods "${pod}" not found`);
    if (typeof log === 'function') yield* log(options);
    else yield log;
  }

  #fault(method: keyof Kube): void {
    const error = this.#faults.get(method)?.shift();
    if (error) throw error;
  }

  #find(type: ResourceType, namespace: string | undefined, name: string): Stored {
    const found = this.#objects.get(keyOf(type, namespace, name));
    if (!found) throw new KubeError(404, 'NotFound', `${type.plural} "${name}" not found`);
    return found;
  }

  #current(type: ResourceType, { metadata }: KubernetesObject): Stored {
    const current = this.#find(type, metadata.namespace, metadata.name);
    if (metadata.resourceVersion !== current.metadata.resourceVersion || metadata.uid !== current.metadata.uid)
      throw new KubeError(409, 'Conflict', 'the object has been modified');
    return current;
  }

  #update(type: ResourceType, current: Stored, next: Stored): Stored {
    if (JSON.stringify(current) === JSON.stringify(next)) return structuredClone(current);
    const changed = JSON.stringify(current.spec) !== JSON.stringify(next.spec);
    const generation = (current.metadata.generation ?? 0) + (changed ? 1 : 0);
    return this.#store(type, 'MODIFIED', { ...next, metadata: { ...next.metadata, generation } });
  }

  #store(type: ResourceType, change: ObjectEvent['type'], object: Stored): Stored {
    const { namespace, name } = object.metadata;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#version) } };
    if (change === 'DELETED') this.#objects.delete(keyOf(type, namespace, name));
    else this.#objects.set(keyOf(type, namespace, name), stored);
    this.#history.push({ type, event: { type: change, object: stored } });
    for (const listener of this.#listeners) listener();
    return structuredClone(stored);
  }

  #written(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const done = () => {
      this.#listeners.delete(done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    this.#listeners.add(done);
    signal.addEventListener('abort', done);
    return promise;
  }
}

const keyOf = (type: ResourceType, namespace: string | undefined, name: string): string =>
  [type.apiVersion, type.plural, namespace ?? '', name].join('/');

/** Equality selectors only: `a=b,c=d`. */
const matches = ({ metadata }: KubernetesObject, selector: string | undefined): boolean =>
  (selector ?? '')
    .split(',')
    .filter(Boolean)
    .every((term) => {
      const [key = '', value] = term.split('=');
      return metadata.labels?.[key] === value;
    });

const encodeToken = (name: string): string => Buffer.from(`after:${name}`).toString('base64url');

function decodeToken(token: string): string {
  const text = Buffer.from(token, 'base64url').toString();
  if (!text.startsWith('after:')) throw new KubeError(400, 'BadRequest', 'continue key is not valid');
  return text.slice('after:'.length);
}

/** RFC 7386. */
function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result: Record<string, unknown> = typeof target === 'object' && !Array.isArray(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merge(result[key], value);
  }
  return result;
}
