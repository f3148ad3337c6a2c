/** An API server of one kind of object, as far as a reflector sees it, with every way to misbehave. */

import type { List, WatchEvent } from '../../../src/kube/port.ts';
import { AbortError, onAbort } from '../../../src/runtime/abort.ts';
import type { ListWatch } from '../../../src/runtime/list-watch.ts';
import { aThing, type Thing } from './support.ts';

/** What an API server refuses with. */
export class Refusal extends Error {
  readonly code: number;
  readonly retryAfterMilliseconds: number | undefined;

  constructor(code: number, retryAfterMilliseconds?: number) {
    super(`refused with ${code}`);
    this.code = code;
    this.retryAfterMilliseconds = retryAfterMilliseconds;
  }
}

export const errors = {
  isExpired: (error: unknown): boolean => error instanceof Refusal && error.code === 410,
  retryAfterMilliseconds: (error: unknown) => (error instanceof Refusal ? error.retryAfterMilliseconds : undefined),
};

export interface Request {
  verb: 'list' | 'watch';
  resourceVersion: string | undefined;
  continue?: string;
  timeoutSeconds?: number;
}

type Item = WatchEvent<Thing> | { end: 'in order' | Error };

class Watch {
  readonly items: Item[] = [];
  isStalled = false;
  #wake = (): void => undefined;

  push(item: Item): void {
    this.items.push(item);
    this.#wake();
  }

  async *events(signal: AbortSignal): AsyncGenerator<WatchEvent<Thing>> {
    using _abort = onAbort(signal, () => this.#wake());
    for (;;) {
      if (signal.aborted) throw new AbortError(signal.reason);
      const item = this.isStalled ? undefined : this.items.shift();
      if (item === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      } else if ('end' in item) {
        if (item.end === 'in order') return;
        throw item.end;
      } else {
        yield item;
      }
    }
  }
}

export class FakeServer implements ListWatch<Thing> {
  readonly requests: Request[] = [];
  /** The next requests fail with these, in order; undefined lets one pass. */
  readonly listFailures: (Error | undefined)[] = [];
  readonly watchFailures: (Error | 'in order' | undefined)[] = [];
  /** Requests that get no answer at all until they are aborted. */
  silentLists = 0;
  /** How long each list takes, in milliseconds. */
  slowness = 0;
  sleep = async (_milliseconds: number, _signal?: AbortSignal): Promise<void> => undefined;
  pageSize = Number.POSITIVE_INFINITY;
  /** What a list with resource version 0 is served from, if not from now. */
  lagging: List<Thing> | undefined;
  #version = 100;
  #oldest = 0;
  #objects = new Map<string, Thing>();
  #history: { version: number; event: WatchEvent<Thing> }[] = [];
  #watches = new Set<Watch>();

  get version(): string {
    return String(this.#version);
  }

  get openWatches(): number {
    return this.#watches.size;
  }

  names(): string[] {
    return [...this.#objects.keys()].sort();
  }

  /** The requests in short, such as `list 0` and `watch 101`. */
  log(): string[] {
    return this.requests.map(({ verb, resourceVersion }) => `${verb} ${resourceVersion ?? 'consistently'}`);
  }

  put(name: string): Thing {
    const thing = aThing(name, ++this.#version);
    const type = this.#objects.has(name) ? 'MODIFIED' : 'ADDED';
    this.#objects.set(name, thing);
    this.#happen({ type, object: thing });
    return thing;
  }

  remove(name: string): void {
    if (this.#objects.delete(name)) this.#happen({ type: 'DELETED', object: aThing(name, ++this.#version) });
  }

  /** Other objects change: versions go on, and a watch learns of it by bookmarks only. */
  pass(versions: number): void {
    this.#version += versions;
  }

  bookmark(): void {
    for (const watch of this.#watches) watch.push({ type: 'BOOKMARK', resourceVersion: this.version });
  }

  /** Ends every open watch. */
  cut(end: 'in order' | Error): void {
    for (const watch of this.#watches) watch.push({ end });
  }

  /** Every open watch goes silent for good: what it was to bring is lost. */
  stall(): void {
    for (const watch of this.#watches) watch.isStalled = true;
  }

  /** Forgets what happened before now: an older watch is refused. */
  compact(): void {
    this.#oldest = this.#version;
    this.#history = [];
  }

  async list({
    resourceVersion,
    continue: token,
    signal,
    limit,
  }: Parameters<ListWatch<Thing>['list']>[0]): Promise<List<Thing>> {
    this.requests.push({ verb: 'list', resourceVersion, ...(token !== undefined && { continue: token }) });
    await this.#answer();
    if (this.slowness > 0) await this.sleep(this.slowness, signal);
    if (this.silentLists > 0) {
      this.silentLists -= 1;
      await new Promise((_resolve, reject) => {
        if (signal) onAbort(signal, () => reject(new AbortError(signal.reason)));
      });
    }
    const failure = this.listFailures.shift();
    if (failure) throw failure;
    if (resourceVersion === '0' && this.lagging) return this.lagging;
    const items = [...this.#objects.values()];
    const start = Number(token ?? 0);
    const end = start + Math.min(limit ?? Number.POSITIVE_INFINITY, this.pageSize);
    const rest = end < items.length ? { continue: String(end) } : {};
    return { items: items.slice(start, end), metadata: { resourceVersion: this.version, ...rest } };
  }

  async *watch(options: Parameters<ListWatch<Thing>['watch']>[0]): AsyncGenerator<WatchEvent<Thing>> {
    const { resourceVersion, timeoutSeconds, signal } = options;
    this.requests.push({ verb: 'watch', resourceVersion, timeoutSeconds });
    await this.#answer();
    const failure = this.watchFailures.shift();
    if (failure === 'in order') return;
    if (failure) throw failure;
    if (Number(resourceVersion) < this.#oldest) throw new Refusal(410);
    const watch = new Watch();
    for (const { version, event } of this.#history) if (version > Number(resourceVersion)) watch.push(event);
    this.#watches.add(watch);
    try {
      yield* watch.events(signal);
    } finally {
      this.#watches.delete(watch);
    }
  }

  /** A client that asks without end gets no more answers, so that its test fails and doesn't hang. */
  async #answer(): Promise<void> {
    if (this.requests.length > 1_000) await new Promise(() => undefined);
  }

  #happen(event: WatchEvent<Thing>): void {
    this.#history.push({ version: this.#version, event });
    for (const watch of this.#watches) watch.push(event);
  }
}
