/** One request to the gateway and its answer: problems become errors, and nothing waits for ever. */

import { ConnectionError, ProblemError, problemIn } from './error.ts';
import type { ProblemDetails } from './types.ts';

export interface HttpOptions {
  baseUrl: string;
  /** An API key, or a token of Kubernetes. */
  apiKey?: string | undefined;
  /** Where to work, for a token of Kubernetes; an API key has one namespace. */
  namespace?: string | undefined;
  /** How long an answer may take beyond what was asked to wait for, in milliseconds (30,000). */
  timeoutMilliseconds?: number;
  fetch?: typeof fetch;
  /** Makes the Idempotency-Key of a request that creates something. */
  newKey?: () => string;
}

export interface HttpRequest {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  json?: object;
  body?: Uint8Array | ReadableStream<Uint8Array>;
  accept?: string;
  /** How long the gateway was asked to hold the answer, in seconds. */
  waitSeconds?: number;
  /** Creates something under a name that the gateway makes: a key keeps it from being made twice. */
  creates?: boolean;
  /** Answers that are streams end when they end. */
  stream?: boolean;
  signal?: AbortSignal | undefined;
}

const USUAL_TIMEOUT = 30_000;
const ANSWER_LIMIT_BYTES = 64 * 1024 * 1024;

export class Http {
  readonly #base: string;
  readonly #options: HttpOptions;
  readonly #fetch: typeof fetch;

  constructor(options: HttpOptions) {
    const url = URL.parse(options.baseUrl);
    if (!url || !/^https?:$/.test(url.protocol))
      throw new TypeError(
        `baseUrl: ${JSON.stringify(options.baseUrl)} is not a URL that begins with http:// or https://`,
      );
    this.#base = url.href.replace(/\/+$/, '');
    this.#options = options;
    this.#fetch = options.fetch ?? fetch;
  }

  /** The answer as JSON. */
  async json<T>(request: HttpRequest): Promise<T> {
    return parseJson<T>(new TextDecoder().decode(await this.bytes(request)));
  }

  async bytes(request: HttpRequest): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let held = 0;
    for await (const chunk of await this.stream(request)) {
      held += chunk.length;
      if (held > ANSWER_LIMIT_BYTES)
        throw new ConnectionError('invalid', `the answer of the gateway is larger than ${ANSWER_LIMIT_BYTES} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  /** The answer as it comes, once the gateway has said yes. */
  async stream(request: HttpRequest): Promise<AsyncGenerator<Uint8Array>> {
    const { signal, expiry } = this.#signals(request);
    const response = await this.#send(request, signal, expiry);
    if (!response.ok) throw await problemOf(response, signal, expiry);
    return read(response, signal, expiry);
  }

  #signals({ stream, waitSeconds = 0, signal }: HttpRequest) {
    const { timeoutMilliseconds = USUAL_TIMEOUT } = this.#options;
    const expiry = stream ? undefined : AbortSignal.timeout(timeoutMilliseconds + waitSeconds * 1000);
    const signals = [signal, expiry].filter((one) => one !== undefined);
    return { expiry, signal: AbortSignal.any(signals) };
  }

  async #send(request: HttpRequest, signal: AbortSignal, expiry: AbortSignal | undefined): Promise<Response> {
    const { method, json, body } = request;
    const sent = json === undefined ? body : JSON.stringify(json);
    try {
      return await this.#fetch(this.#url(request), {
        method,
        headers: this.#headers(request),
        signal,
        // A key is for this gateway alone.
        redirect: 'error',
        ...(sent !== undefined && { body: sent, duplex: 'half' }),
      } as RequestInit);
    } catch (error) {
      throw failure(error, signal, expiry, 'unreachable');
    }
  }

  #url({ path, query }: HttpRequest): string {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query ?? {}))
      if (value !== undefined) parameters.set(name, String(value));
    return this.#base + path + (parameters.size > 0 ? `?${parameters}` : '');
  }

  #headers({ creates, json, body, accept = 'application/json' }: HttpRequest): Record<string, string> {
    const { apiKey, namespace, newKey = () => crypto.randomUUID() } = this.#options;
    return {
      accept,
      ...(apiKey && { authorization: `Bearer ${apiKey}` }),
      ...(namespace && { 'x-coderun-namespace': namespace }),
      ...(json !== undefined && { 'content-type': 'application/json' }),
      ...(body !== undefined && { 'content-type': 'application/octet-stream' }),
      ...(creates && { 'idempotency-key': newKey() }),
    };
  }
}

/** Throws `ConnectionError` for what is none. */
export function parseJson<T>(text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    const what = 'the answer of the gateway is not JSON; is there another server at its URL?';
    throw new ConnectionError('invalid', what);
  }
}

/** Part of a path: any text, as one segment. */
export const segment = (text: string): string => encodeURIComponent(text);

async function* read(
  { body }: Response,
  signal: AbortSignal,
  expiry: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  try {
    if (body) yield* body;
  } catch (error) {
    throw failure(error, signal, expiry, 'broken');
  }
}

function failure(
  error: unknown,
  signal: AbortSignal,
  expiry: AbortSignal | undefined,
  kind: 'unreachable' | 'broken',
): unknown {
  if (expiry?.aborted) return new ConnectionError('timeout', 'the gateway did not answer in time', error);
  if (signal.aborted) return signal.reason;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return new ConnectionError(kind, reasonOf(cause), error);
}

/** An AggregateError, which a name with several addresses gives, has its text in its parts. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

const PROBLEM_LIMIT = 64 * 1024;

async function problemOf(
  response: Response,
  signal: AbortSignal,
  expiry: AbortSignal | undefined,
): Promise<ProblemError> {
  let text = '';
  for await (const chunk of read(response, signal, expiry)) {
    text += Buffer.from(chunk).toString('utf8');
    if (text.length > PROBLEM_LIMIT) break;
  }
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  return new ProblemError(response.status, parseProblem(text), Number.isFinite(seconds) ? seconds : undefined);
}

/** What is not a problem, a proxy's page for instance, has only its status. */
function parseProblem(text: string): Partial<ProblemDetails> {
  try {
    return problemIn(JSON.parse(text));
  } catch {
    return {};
  }
}
