/** Runs and batches over HTTP. */

import { ConnectionError } from './error.ts';
import { type Http, parseJson, segment } from './http.ts';
import { linesOf } from './lines.ts';
import type { Batch, BatchItemResult, NewBatch, NewRun, Page, Run, RunListItem } from './types.ts';

export interface CallOptions {
  signal?: AbortSignal | undefined;
}

export interface WaitOptions extends CallOptions {
  /** How long the gateway holds its answer until the end, in seconds: 0 to 60. */
  waitSeconds?: number;
}

/** The longest that a gateway holds an answer. */
const LONGEST_WAIT_SECONDS = 60;
/** How often a stream that broke is opened again without anything new having come of it. */
const REOPENINGS = 3;

export const isEnded = ({ state }: { state: string }): boolean => state === 'succeeded' || state === 'failed';

export class Runs {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  create(run: NewRun, { waitSeconds, signal }: WaitOptions = {}): Promise<Run> {
    return this.#http.json({
      method: 'POST',
      path: '/v1/runs',
      json: run,
      creates: !run.name,
      ...waiting(waitSeconds),
      signal,
    });
  }

  get(name: string, { waitSeconds, signal }: WaitOptions = {}): Promise<Run> {
    return this.#http.json({ method: 'GET', path: `/v1/runs/${segment(name)}`, ...waiting(waitSeconds), signal });
  }

  /** The run at its end, however long that takes. */
  async wait(name: string, { signal }: CallOptions = {}): Promise<Run> {
    for (;;) {
      const run = await this.get(name, { waitSeconds: LONGEST_WAIT_SECONDS, signal });
      if (isEnded(run)) return run;
    }
  }

  list({ limit, from, signal }: CallOptions & { limit?: number; from?: string } = {}): Promise<Page<RunListItem>> {
    return this.#http.json({ method: 'GET', path: '/v1/runs', query: { limit, continue: from }, signal });
  }

  /** Asks for the end of a run; one that has ended stays as it is. */
  cancel(name: string, { signal }: CallOptions = {}): Promise<Run> {
    return this.#http.json({ method: 'DELETE', path: `/v1/runs/${segment(name)}`, signal });
  }

  artifact(name: string, path: string, { signal }: CallOptions = {}): Promise<Uint8Array> {
    const accept = 'application/octet-stream';
    const url = `/v1/runs/${segment(name)}/artifacts/${segment(path)}`;
    return this.#http.bytes({ method: 'GET', path: url, accept, signal });
  }

  /**
   * What the program prints. With `follow`, as it comes, until the run ends: a connection that breaks is opened again,
   * and what was read before is left out.
   */
  async *logs(
    name: string,
    { follow = false, stream, signal }: CallOptions & { follow?: boolean; stream?: 'stdout' | 'stderr' } = {},
  ): AsyncGenerator<string> {
    const path = `/v1/runs/${segment(name)}/logs`;
    const request = {
      method: 'GET',
      path,
      query: { follow, stream },
      accept: 'text/plain',
      stream: follow,
      signal,
    } as const;
    const decoder = new TextDecoder();
    let read = 0;
    for (let failures = 0; ; failures++) {
      let position = 0;
      try {
        for await (const chunk of await this.#http.stream(request)) {
          const fresh = chunk.subarray(Math.max(0, read - position));
          position += chunk.length;
          if (fresh.length === 0) continue;
          read = position;
          failures = 0;
          yield decoder.decode(fresh, { stream: true });
        }
        return;
      } catch (error) {
        if (!follow || !isBroken(error) || failures === REOPENINGS) throw error;
      }
    }
  }
}

/** A proxy, or a gateway that was replaced, ends what is silent for long; the run goes on. */
const isBroken = (error: unknown): boolean => error instanceof ConnectionError && error.kind === 'broken';

const waiting = (seconds: number | undefined) =>
  seconds === undefined ? {} : { query: { wait: seconds }, waitSeconds: seconds };

export class Batches {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  create(batch: NewBatch, { waitSeconds, signal }: WaitOptions = {}): Promise<Batch> {
    return this.#http.json({
      method: 'POST',
      path: '/v1/batches',
      json: batch,
      creates: !batch.name,
      ...waiting(waitSeconds),
      signal,
    });
  }

  get(name: string, { waitSeconds, signal }: WaitOptions = {}): Promise<Batch> {
    return this.#http.json({ method: 'GET', path: `/v1/batches/${segment(name)}`, ...waiting(waitSeconds), signal });
  }

  /** Cancels every item that has not ended. */
  cancel(name: string, { signal }: CallOptions = {}): Promise<Batch> {
    return this.#http.json({ method: 'DELETE', path: `/v1/batches/${segment(name)}`, signal });
  }

  /** How each item ended, in the order of their ends, until the batch has ended. */
  async *results(name: string, { signal }: CallOptions = {}): AsyncGenerator<BatchItemResult> {
    const path = `/v1/batches/${segment(name)}/results`;
    const body = await this.#http.stream({ method: 'GET', path, accept: 'application/x-ndjson', stream: true, signal });
    for await (const line of linesOf(body, 'a result')) if (line) yield parseJson<BatchItemResult>(line);
  }
}
