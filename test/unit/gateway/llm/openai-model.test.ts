import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ModelError } from '../../../../src/gateway/llm/model.ts';
import { type OpenAiOptions, openAiModel } from '../../../../src/gateway/llm/openai-model.ts';
import { chatAnswer } from '../../../support/chat-server.ts';
import { type Answer, answerJson, answerReset, startHttpServer } from '../../../support/http-server.ts';

const ask = (url: string, options: Partial<OpenAiOptions> = {}, signal = new AbortController().signal) =>
  openAiModel({
    baseUrl: `${url}/v1`,
    apiKeyFile: undefined,
    models: ['small'],
    timeoutMilliseconds: 500,
    maxRetries: 0,
    ...options,
  }).complete([{ role: 'user', content: 'hello' }], { model: 'small', signal });

const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => (error instanceof ModelError ? error.failure : error),
  );

describe('a language model that speaks the chat completions protocol', () => {
  test('it is asked by that protocol, with the key of the file as it is now', async () => {
    await using server = await startHttpServer(chatAnswer('hi'));
    const folder = await mkdtemp(join(tmpdir(), 'coderun-key-'));
    const apiKeyFile = join(folder, 'key');
    for (const key of ['first', 'second']) {
      await writeFile(apiKeyFile, `${key}\n`);
      expect(await ask(server.url, { apiKeyFile })).toBe('hi');
    }
    await rm(folder, { recursive: true });
    const [request, later] = server.requests;
    expect(request).toMatchObject({
      method: 'POST',
      url: '/v1/chat/completions',
      headers: { authorization: 'Bearer first' },
    });
    expect(later?.headers.authorization).toBe('Bearer second');
    expect(JSON.parse(request?.body ?? '')).toMatchObject({
      model: 'small',
      messages: [{ role: 'user', content: 'hello' }],
    });
  });

  const page: Answer = (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('<html>');
  const huge: Answer = (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ choices: [{ message: { content: 'x'.repeat(3 * 1024 * 1024) } }] }));
  };
  const endless: Answer = (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const more = () => response.write(' '.repeat(256 * 1024), () => !response.destroyed && setImmediate(more));
    more();
  };
  const cut: Answer = (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 });
    response.write('{"choices"', () => response.socket?.resetAndDestroy());
  };
  test.each([
    ['429', answerJson(429, { error: { message: 'slow down' } }), 'busy'],
    ['503', answerJson(503, {}), 'busy'],
    ['500', answerJson(500, { error: { message: 'oops' } }), 'failed'],
    ['400', answerJson(400, {}), 'failed'],
    ['401', answerJson(401, { error: { message: 'bad key sk-secret' } }), 'refused'],
    ['404', answerJson(404, {}), 'refused'],
    ['504', answerJson(504, {}), 'timeout'],
    ['silence', (() => undefined) as Answer, 'timeout'],
    ['a connection that is reset', answerReset, 'unreachable'],
    ['an answer that breaks off', cut, 'malformed'],
    ['a page', page, 'malformed'],
    ['no choices', answerJson(200, { choices: [] }), 'malformed'],
    ['choices of another shape', answerJson(200, { choices: [{ text: 'x' }] }), 'malformed'],
    ['content that is no text', answerJson(200, { choices: [{ message: { content: [1] } }] }), 'malformed'],
    ['null', answerJson(200, null), 'malformed'],
    ['an answer that is too long', huge, 'malformed'],
    ['an answer without an end', endless, 'malformed'],
  ])('%s is a failure of its kind', async (_name, answer, expected) => {
    await using server = await startHttpServer(answer);
    expect(await failureOf(ask(server.url))).toBe(expected);
  });

  test('a redirection, which would take the key elsewhere, is not followed', async () => {
    const elsewhere: Answer = (response) => response.writeHead(307, { location: '/elsewhere' }).end();
    await using server = await startHttpServer(elsewhere, chatAnswer('hi'));
    expect(await failureOf(ask(server.url))).toBe('unreachable');
    expect(server.requests).toHaveLength(1);
  });

  test('a failure says nothing of what the server said', async () => {
    await using server = await startHttpServer(answerJson(401, { error: { message: 'bad key sk-secret' } }));
    expect(String(await ask(server.url).catch((error: Error) => error.message))).not.toContain('secret');
  });

  test('what failed for want of room is asked again', async () => {
    await using server = await startHttpServer(answerJson(429, {}, { 'retry-after-ms': '1' }), chatAnswer('hi'));
    expect(await ask(server.url, { maxRetries: 1 })).toBe('hi');
  });

  test.each([
    ['an empty answer is an empty text', chatAnswer(''), ''],
    ['so is one without content', answerJson(200, { choices: [{ message: { content: null } }] }), ''],
    ['half of a character is made whole', answerJson(200, { choices: [{ message: { content: '\ud800' } }] }), '\ufffd'],
  ])('%s', async (_name, answer, expected) => {
    await using server = await startHttpServer(answer);
    expect(await ask(server.url)).toBe(expected);
  });

  test('a key that can not be read is a refusal, and nothing is sent', async () => {
    await using server = await startHttpServer(chatAnswer('hi'));
    expect(await failureOf(ask(server.url, { apiKeyFile: '/nonexistent/key' }))).toBe('refused');
    expect(server.requests).toEqual([]);
  });

  test('whoever leaves is not kept', async () => {
    await using server = await startHttpServer(() => undefined);
    const stop = new AbortController();
    const asked = ask(server.url, { timeoutMilliseconds: 60_000 }, stop.signal);
    const reason = new Error('left');
    setImmediate(() => stop.abort(reason));
    expect(await failureOf(asked)).toBe(reason);
  });
});
