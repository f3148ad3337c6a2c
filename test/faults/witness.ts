/** Counts how often programs were executed, where nobody can lie: in the logs of the containers, of every pod there was. */

import { setTimeout as sleep } from 'node:timers/promises';
import { LABEL_SANDBOX } from '../../src/api/group.ts';
import type { Pod } from '../../src/api/object.ts';
import { CONTAINER } from '../../src/core/pod.ts';
import { isNotFound } from '../../src/kube/error.ts';
import { PODS } from '../../src/kube/resources.ts';
import { parseEvent } from '../../src/sandbox/protocol.ts';
import { kube } from '../e2e/support.ts';

/** What a program of these tests prints first. */
export const MARK = 'the program began';

const LOOK_MILLISECONDS = 200;
const READ_MILLISECONDS = 300;

export class Witness {
  readonly #namespace: string;
  readonly #logs = new Map<string, string>();
  #present = new Set<string>();
  readonly #stop = new AbortController();

  constructor(namespace: string) {
    this.#namespace = namespace;
    void this.#look();
  }

  stop(): void {
    this.#stop.abort();
  }

  /** How often the run's program said that it began, in all pods of the namespace together. */
  executions(runUID: string): number {
    const lines = [...this.#logs.values()].flatMap((log) => log.split('\n'));
    const output = lines.map((line) => {
      const event = parseEvent(line);
      return event && 'stdout' in event && event.id === runUID ? event.stdout : '';
    });
    return output.join('').split(MARK).length - 1;
  }

  /** Pods are seen as soon as they are created, so that none is missed that was there for a short time only. */
  async #look(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const selection = { namespace: this.#namespace, labelSelector: LABEL_SANDBOX };
      const pods = await kube.list<Pod>(PODS, selection).catch(() => undefined);
      if (pods) this.#present = new Set(pods.items.map(({ metadata }) => metadata.uid));
      for (const { metadata } of pods?.items ?? []) {
        if (this.#logs.has(metadata.uid)) continue;
        this.#logs.set(metadata.uid, '');
        void this.#read(metadata.name, metadata.uid);
      }
      await sleep(LOOK_MILLISECONDS);
    }
  }

  /** Reads again and again until the pod is gone: a log that is followed can end before its last line. */
  async #read(name: string, uid: string): Promise<void> {
    const options = { container: CONTAINER, signal: this.#stop.signal };
    while (!this.#stop.signal.aborted) {
      try {
        const log = Buffer.concat(await Array.fromAsync(kube.readLog(this.#namespace, name, options)));
        // Another pod may have its name by now.
        if ((await kube.get<Pod>(PODS, this.#namespace, name)).metadata.uid !== uid) return;
        // One that breaks off tells less than what was read before.
        if (log.length >= (this.#logs.get(uid) ?? '').length) this.#logs.set(uid, log.toString());
      } catch (error) {
        // A kubelet that has not heard of a pod yet answers as if there were none.
        if (isNotFound(error) && !this.#present.has(uid)) return;
      }
      await sleep(READ_MILLISECONDS);
    }
  }
}
