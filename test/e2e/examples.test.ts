import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { SANDBOX_NAMESPACE } from '../../src/api/group.ts';
import { localGatewayDeps } from '../../src/cli/local-gateway.ts';
import { openAiModel } from '../../src/gateway/llm/openai-model.ts';
import { buildGateway } from '../../src/gateway/server.ts';
import { programAnswer } from '../support/chat-server.ts';
import { aCli } from '../support/cli-world.ts';
import { LANGUAGES, runExample } from '../support/examples.ts';
import { startHttpServer } from '../support/http-server.ts';
import { GATEWAY, kube } from './support.ts';

const named = (name: string) => LANGUAGES.map((path) => path.replace('NAME', name));
const URL_OF_GATEWAY = { CODERUN_URL: GATEWAY };
const PNG = Buffer.from('89504e470d0a1a0a', 'hex');

/** A gateway of this process, for the language model is on this machine: its programs run in the cluster all the same. */
async function withModel(...answers: Parameters<typeof startHttpServer>) {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await startHttpServer(...answers));
  const { io } = stack.use(aCli());
  const languageModel = openAiModel({
    baseUrl: `${server.url}/v1`,
    apiKeyFile: undefined,
    models: ['small'],
    timeoutMilliseconds: 10_000,
  });
  const identify = () => ({ name: 'examples', namespace: SANDBOX_NAMESPACE });
  const random = (count: number) => randomBytes(count);
  const app = buildGateway({ ...localGatewayDeps(kube, identify, io), languageModel, random });
  stack.defer(() => app.close());
  await app.listen({ host: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  return { url, server, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe('the examples, in the cluster', () => {
  test.each(named('run'))('%s', async (path) => {
    const { code, stdout, stderr } = await runExample(path, URL_OF_GATEWAY);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/Completed[\s\S]*42/);
  });

  test.each(named('batch'))('%s', async (path) => {
    const { code, stdout } = await runExample(path, URL_OF_GATEWAY);
    expect(code).toBe(0);
    const lines = stdout.trim().split('\n').sort();
    expect(lines).toHaveLength(3);
    expect(stdout).toMatch(/right[^\n]*Completed/);
    expect(stdout).toMatch(/wrong[^\n]*NonZeroExit/);
    expect(stdout).toMatch(/bounded[^\n]*Timeout/);
  });

  test.each(named('session'))('%s', async (path) => {
    const { code, stdout, stderr, files } = await runExample(path, URL_OF_GATEWAY);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('200');
    expect(stdout).toMatch(/\bx\b[\s\S]*ndarray/);
    expect(files['plot.png']?.subarray(0, PNG.length)).toEqual(PNG);
  });

  test.each(named('agent'))('%s', async (path) => {
    const primes = 'primes = [n for n in range(2, 600) if all(n % d for d in range(2, n))]\nprint(primes[99])';
    await using gateway = await withModel(programAnswer('print(primes[99])'), programAnswer(primes));
    const { code, stdout, stderr } = await runExample(path, { CODERUN_URL: gateway.url });
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('541');
    expect(gateway.server.requests).toHaveLength(2);
    expect(gateway.server.requests[1]?.body).toContain('NameError');
  });
});
