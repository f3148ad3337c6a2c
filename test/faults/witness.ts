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

export class Witness {
  readonly #namespace: string;
  readonly #logs = new Map<string, string>();
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
      const { items } = await kube
        .list<Pod>(PODS, { namespace: this.#namespace, labelSelector: LABEL_SANDBOX })
        .catch(() => ({ items: [] }));
      for (const { metadata } of items) {
        if (this.#logs.has(metadata.uid)) continue;
        this.#logs.set(metadata.uid, '');
        void this.#follow(metadata.name, metadata.uid);
      }
      await sleep(200);
    }
  }

  /** Reads until the pod is gone: what is followed may end before the last line. */
  async #follow(name: string, uid: string): Promise<void> {
    const options = { container: CONTAINER, follow: true, signal: this.#stop.signal };
    while (!this.#stop.signal.aborted) {
      let log = '';
      try {
        for await (const chunk of kube.readLog(this.#namespace, name, options)) {
          log += Buffer.from(chunk).toString();
          if (log.length > (this.#logs.get(uid) ?? '').length) this.#logs.set(uid, log);
        }
      } catch (error) {
        if (isNotFound(error)) return;
      }
      await sleep(300);
    }
  }
}
