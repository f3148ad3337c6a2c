/** The client of the gateway's HTTP API: `new Coderun({ baseUrl })`, over fetch and nothing else. */

import { Http, type HttpOptions } from './http.ts';
import { Batches, type CallOptions, Runs } from './runs.ts';
import { Sessions } from './sessions.ts';
import { knownEvents } from './sse.ts';
import type { AgentAnswer, AgentEvent, AgentTask } from './types.ts';

export { ConnectionError, ProblemError } from './error.ts';
export type { HttpOptions as CoderunOptions } from './http.ts';
export { isEnded } from './runs.ts';
export type * from './types.ts';

/** The most that a task may take: ten rounds, each with the model and the program at their longest. */
const AGENT_PATIENCE_SECONDS = 3600;

export class Coderun {
  readonly runs: Runs;
  readonly batches: Batches;
  readonly sessions: Sessions;
  readonly #http: Http;

  constructor(options: HttpOptions) {
    this.#http = new Http(options);
    this.runs = new Runs(this.#http);
    this.batches = new Batches(this.#http);
    this.sessions = new Sessions(this.#http);
  }

  /** Has a language model write Python for the task, and runs it. */
  agent(task: AgentTask, { signal }: CallOptions = {}): Promise<AgentAnswer> {
    const waitSeconds = AGENT_PATIENCE_SECONDS;
    return this.#http.json({ method: 'POST', path: '/v1/agent', json: task, waitSeconds, signal });
  }

  /** The same, told step by step. Leaving the loop gives the task up. */
  async *followAgent(task: AgentTask, { signal }: CallOptions = {}): AsyncGenerator<AgentEvent> {
    const accept = 'text/event-stream';
    const request = { method: 'POST', path: '/v1/agent', json: task, accept, stream: true, signal } as const;
    yield* knownEvents(await this.#http.stream(request), agentEvent);
  }
}

const AGENT_EVENTS: readonly string[] = ['round', 'code', 'result'];

function agentEvent(event: string, data: Record<string, unknown>): AgentEvent | undefined {
  if (event === 'finished') return { event, answer: data as unknown as AgentAnswer };
  return AGENT_EVENTS.includes(event) ? ({ event, ...data } as AgentEvent) : undefined;
}
