/** One open watch, so that what is measured is not how long a watch takes to open. */

import type { ResourceType } from '../../src/api/group.ts';
import type { KubernetesObject } from '../../src/api/object.ts';
import type { Kube } from '../../src/kube/port.ts';

export class Watcher<T extends KubernetesObject> {
  readonly #waiting = new Map<string, { done: (object: T) => boolean; resolve: (object: T) => void }>();
  readonly #abort = new AbortController();

  /** Watches from now on; rejects nothing later: a watch that breaks leaves its waits to their bound. */
  static async open<T extends KubernetesObject>(
    kube: Kube,
    type: ResourceType,
    namespace: string,
  ): Promise<Watcher<T>> {
    const watcher = new Watcher<T>();
    const { metadata } = await kube.list<T>(type, { namespace, limit: 1 });
    void watcher.#follow(kube, type, namespace, metadata.resourceVersion);
    return watcher;
  }

  /** Resolves with the object `name` as soon as the watch shows it as `done`. To be called before it is created. */
  until(name: string, done: (object: T) => boolean): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#waiting.set(name, { done, resolve });
    const timeout = AbortSignal.timeout(120_000);
    timeout.addEventListener('abort', () => reject(new Error(`${name} was not done in two minutes`)));
    return promise.finally(() => this.#waiting.delete(name));
  }

  close(): void {
    this.#abort.abort();
  }

  async #follow(kube: Kube, type: ResourceType, namespace: string, resourceVersion: string): Promise<void> {
    const { signal } = this.#abort;
    for await (const event of kube.watch<T>(type, { namespace, resourceVersion, timeoutSeconds: 3600, signal })) {
      if (event.type === 'BOOKMARK') continue;
      const wait = this.#waiting.get(event.object.metadata.name);
      if (wait?.done(event.object)) wait.resolve(event.object);
    }
  }
}
