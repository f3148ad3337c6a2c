/** A language model behind the chat completions protocol, which OpenAI and most others speak. */

import { readFile } from 'node:fs/promises';
import type OpenAI from 'openai';
import { z } from 'zod';
import { type LanguageModel, type Message, ModelError, type ModelFailure } from './model.ts';

export interface OpenAiOptions {
  /** With the version: `https://api.openai.com/v1`. */
  baseUrl: string;
  /** File that holds the key, read for every answer so that it may change; undefined where the server wants none. */
  apiKeyFile: string | undefined;
  models: readonly [string, ...string[]];
  /** For one try at an answer. */
  timeoutMilliseconds: number;
  /** How often a try that failed for want of room or connection is repeated (2). */
  maxRetries?: number;
}

/** An answer holds one program and some words; a model that does not stop is cut off. */
const ANSWER_LIMIT_BYTES = 2 * 1024 * 1024;
/** Nobody's answer is right every time, but the same task should be solved in much the same way. */
const TEMPERATURE = 0.2;

const Completion = z.object({
  choices: z.array(z.object({ message: z.object({ content: z.string().nullish() }) })).min(1),
});

export function openAiModel({ models, ...options }: OpenAiOptions): LanguageModel {
  return {
    models,
    async complete(messages, { model, signal }) {
      // Loaded here only: most gateways have no model.
      const openai = await import('openai');
      const client = newClient(openai.default, options, await readKey(options.apiKeyFile));
      try {
        return textOf(await client.chat.completions.create(requestOf(model, messages), { signal }));
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        throw error instanceof ModelError ? error : new ModelError(failureOf(error, openai), error);
      }
    },
  };
}

const requestOf = (model: string, messages: readonly Message[]) => ({
  model,
  messages: [...messages],
  temperature: TEMPERATURE,
  stream: false as const,
});

function newClient(
  Client: typeof OpenAI,
  { baseUrl, timeoutMilliseconds, maxRetries = 2 }: Omit<OpenAiOptions, 'models'>,
  apiKey: string,
): OpenAI {
  return new Client({
    baseURL: baseUrl,
    apiKey,
    // What is not given is looked for in the environment, which is not ours to read.
    organization: null,
    project: null,
    adminAPIKey: null,
    webhookSecret: null,
    logLevel: 'off',
    timeout: timeoutMilliseconds,
    maxRetries,
    fetch: boundedFetch,
  });
}

async function readKey(path: string | undefined): Promise<string> {
  // The library wants one in any case.
  if (path === undefined) return 'none';
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    throw new ModelError('refused', error);
  }
}

/** Follows no redirection, for the key goes along, and reads no more than an answer may hold. */
async function boundedFetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const response = await fetch(input, { ...init, redirect: 'error' });
  let held = 0;
  const bound = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      held += chunk.length;
      if (held > ANSWER_LIMIT_BYTES) controller.error(new ModelError('malformed'));
      else controller.enqueue(chunk);
    },
  });
  return new Response(response.body?.pipeThrough(bound) ?? null, response);
}

/** The server may be any: the types of the library are its promise and not what comes. */
function textOf(answer: unknown): string {
  const { data } = Completion.safeParse(answer);
  if (!data) throw new ModelError('malformed');
  return (data.choices[0]?.message.content ?? '').toWellFormed();
}

function failureOf(error: unknown, openai: typeof import('openai')): ModelFailure {
  if (error instanceof openai.APIConnectionTimeoutError) return 'timeout';
  if (error instanceof openai.APIConnectionError)
    return causes(error).some((cause) => cause instanceof ModelError) ? 'malformed' : 'unreachable';
  if (!(error instanceof openai.APIError)) return 'malformed';
  return FAILURES[String(error.status)] ?? 'failed';
}

function causes(error: Error): unknown[] {
  const found: unknown[] = [];
  for (let cause = error.cause; cause instanceof Error && found.length < 8; cause = cause.cause) found.push(cause);
  return found;
}

const FAILURES: Record<string, ModelFailure> = {
  '401': 'refused',
  '403': 'refused',
  '404': 'refused',
  '408': 'timeout',
  '429': 'busy',
  '503': 'busy',
  '504': 'timeout',
};
