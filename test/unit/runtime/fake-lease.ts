/** A Lease at an API server that can be slow, deaf or broken, as its callers see it. */

import type { Clock } from '../../../src/runtime/clock.ts';
import type { Lease, LeasePort, LeaseSpec } from '../../../src/runtime/lease-record.ts';

/** What happens to a request: it takes so long to arrive and its answer so long to come back, or gets lost. */
export interface Weather {
  there: number;
  back: number;
  lost?: 'request' | 'answer';
}

export const FAIR: Weather = { there: 0, back: 0 };

export class FakeLeaseServer {
  lease: Lease | undefined;
  writes = 0;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get spec(): LeaseSpec | undefined {
    return this.lease?.spec;
  }

  /** The lease as one process reaches it, through weather of its own. */
  port(weather: () => Weather = () => FAIR): LeasePort {
    return {
      get: () => this.#send(weather(), () => structuredClone(this.lease)),
      create: (spec) => this.#send(weather(), () => this.#create(spec)),
      replace: (lease) => this.#send(weather(), () => this.#replace(lease)),
    };
  }

  async #send<T>({ there, back, lost }: Weather, serve: () => T): Promise<T> {
    if (there > 0) await this.#clock.sleep(there);
    if (lost === 'request') throw new Error('connection refused');
    const answer = serve();
    if (back > 0) await this.#clock.sleep(back);
    if (lost === 'answer') throw new Error('connection reset');
    return answer;
  }

  #create(spec: LeaseSpec): Lease {
    if (this.lease) throw new Error('AlreadyExists');
    return this.#write({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'leader', uid: 'uid', resourceVersion: '', creationTimestamp: '' },
      spec,
    });
  }

  #replace(lease: Lease): Lease {
    if (this.lease === undefined) throw new Error('NotFound');
    if (lease.metadata.resourceVersion !== this.lease.metadata.resourceVersion) throw new Error('Conflict');
    return this.#write(lease);
  }

  #write(lease: Lease): Lease {
    this.writes += 1;
    const metadata = { ...lease.metadata, resourceVersion: String(this.writes) };
    this.lease = structuredClone({ ...lease, metadata });
    return structuredClone(this.lease);
  }
}
