/** Sessions over HTTP: executions, files, packages, variables. */

import { type Http, segment } from './http.ts';
import type { CallOptions } from './runs.ts';
import { knownEvents } from './sse.ts';
import type {
  Execution,
  ExecutionEvent,
  InstallEvent,
  InstalledPackage,
  NewExecution,
  NewSession,
  Page,
  Session,
  SessionFile,
  Variable,
} from './types.ts';

/** How long the class of a session may let an execution take that names no timeout, and the queue before it. */
const EXECUTION_PATIENCE_SECONDS = 3700;
const INSTALL_PATIENCE_SECONDS = 600;

export class Sessions {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  create(
    session: NewSession = {},
    { waitSeconds, signal }: CallOptions & { waitSeconds?: number } = {},
  ): Promise<Session> {
    const wait = waitSeconds === undefined ? {} : { query: { wait: waitSeconds }, waitSeconds };
    return this.#http.json({
      method: 'POST',
      path: '/v1/sessions',
      json: session,
      creates: !session.name,
      ...wait,
      signal,
    });
  }

  get(name: string, { signal }: CallOptions = {}): Promise<Session> {
    return this.#http.json({ method: 'GET', path: at(name), signal });
  }

  list({ limit, from, signal }: CallOptions & { limit?: number; from?: string } = {}): Promise<Page<Session>> {
    return this.#http.json({ method: 'GET', path: '/v1/sessions', query: { limit, continue: from }, signal });
  }

  /** Ends the session, and with it all that it holds. */
  async delete(name: string, { signal }: CallOptions = {}): Promise<void> {
    await this.#http.bytes({ method: 'DELETE', path: at(name), signal });
  }

  /** One that may take longer than four minutes is better followed: what is silent for five is broken off on the way. */
  execute(name: string, execution: NewExecution, { signal }: CallOptions = {}): Promise<Execution> {
    const waitSeconds = EXECUTION_PATIENCE_SECONDS;
    return this.#http.json({ method: 'POST', path: at(name, 'execute'), json: execution, waitSeconds, signal });
  }

  /** The same, told as it goes. Leaving the loop interrupts the execution, unless it is detached. */
  async *follow(name: string, execution: NewExecution, { signal }: CallOptions = {}): AsyncGenerator<ExecutionEvent> {
    const request = { method: 'POST', path: at(name, 'execute'), json: execution, stream: true, signal } as const;
    const body = await this.#http.stream({ ...request, accept: 'text/event-stream' });
    yield* knownEvents(body, executionEvent);
  }

  /** Interrupts whatever runs now; what the interpreter holds is kept. */
  async interrupt(name: string, { signal }: CallOptions = {}): Promise<void> {
    await this.#http.bytes({ method: 'POST', path: at(name, 'interrupt'), signal });
  }

  /** Gives the session a fresh interpreter; files stay. */
  async restart(name: string, { signal }: CallOptions = {}): Promise<void> {
    await this.#http.bytes({ method: 'POST', path: at(name, 'restart'), signal });
  }

  async variables(name: string, { signal }: CallOptions = {}): Promise<Variable[]> {
    const answer = await this.#http.json<{ variables: Variable[] }>({
      method: 'GET',
      path: at(name, 'variables'),
      signal,
    });
    return answer.variables;
  }

  /** `path` is relative to the working directory, which is the empty path. */
  async files(name: string, path = '', { signal }: CallOptions = {}): Promise<SessionFile[]> {
    const request = { method: 'GET', path: at(name, 'files'), query: { path: path || undefined }, signal } as const;
    return (await this.#http.json<{ entries: SessionFile[] }>(request)).entries;
  }

  /** The content of a file as it comes. */
  readFile(name: string, path: string, { signal }: CallOptions = {}): Promise<AsyncGenerator<Uint8Array>> {
    const accept = 'application/octet-stream';
    return this.#http.stream({
      method: 'GET',
      path: at(name, 'files/content'),
      query: { path },
      accept,
      stream: true,
      signal,
    });
  }

  async writeFile(
    name: string,
    path: string,
    content: Uint8Array | ReadableStream<Uint8Array>,
    { signal }: CallOptions = {},
  ): Promise<void> {
    const request = { method: 'PUT', path: at(name, 'files/content'), query: { path }, body: content } as const;
    await this.#http.bytes({ ...request, waitSeconds: INSTALL_PATIENCE_SECONDS, signal });
  }

  /** A file, a link, or a folder with all that is in it. */
  async removeFile(name: string, path: string, { signal }: CallOptions = {}): Promise<void> {
    await this.#http.bytes({ method: 'DELETE', path: at(name, 'files/content'), query: { path }, signal });
  }

  /** Installs packages by name and version; answers for each what was installed, or why not. */
  async install(name: string, packages: string[], { signal }: CallOptions = {}): Promise<InstalledPackage[]> {
    const request = { method: 'POST', path: at(name, 'packages'), json: { packages }, signal } as const;
    const waitSeconds = INSTALL_PATIENCE_SECONDS;
    return (await this.#http.json<{ packages: InstalledPackage[] }>({ ...request, waitSeconds })).packages;
  }

  /** The same, told as it goes: what the installer says, then what became of each package. */
  async *followInstall(name: string, packages: string[], { signal }: CallOptions = {}): AsyncGenerator<InstallEvent> {
    const request = { method: 'POST', path: at(name, 'packages'), json: { packages }, stream: true, signal } as const;
    yield* knownEvents(await this.#http.stream({ ...request, accept: 'text/event-stream' }), installEvent);
  }
}

const at = (name: string, rest = ''): string => `/v1/sessions/${segment(name)}${rest && `/${rest}`}`;

/** Undefined for events that a newer gateway may send. */
function executionEvent(event: string, data: Record<string, unknown>): ExecutionEvent | undefined {
  switch (event) {
    case 'stdout':
    case 'stderr':
      return { event, text: String(data['text'] ?? '') };
    case 'result':
      return { event, mime: (data['mime'] ?? {}) as Record<string, string> };
    case 'error':
      return { event, error: data as unknown as { name: string; value: string; traceback: string } };
    case 'finished':
      return { event, execution: data as Partial<Execution> };
    default:
      return undefined;
  }
}

function installEvent(event: string, data: Record<string, unknown>): InstallEvent | undefined {
  if (event === 'stdout' || event === 'stderr') return { event, text: String(data['text'] ?? '') };
  return event === 'finished' ? { event, packages: (data['packages'] ?? []) as InstalledPackage[] } : undefined;
}
