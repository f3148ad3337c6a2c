import { describe, expect, test } from 'vitest';
import type { CodeBatch } from '../../src/api/codebatch.ts';
import { CODE_BATCHES } from '../../src/api/group.ts';
import { openAiModel } from '../../src/gateway/llm/openai-model.ts';
import { programAnswer } from '../support/chat-server.ts';
import { LANGUAGES, runExample } from '../support/examples.ts';
import { startHttpServer } from '../support/http-server.ts';
import { aLiveGateway, completes } from '../support/live-gateway.ts';

const named = (name: string) => LANGUAGES.map((path) => path.replace('NAME', name));

describe('the examples, against a gateway whose programs are only said to run', () => {
  test.each(named('run'))('%s sends a program and shows what became of it', async (path) => {
    await using gateway = await aLiveGateway(completes('42\n'));
    const { code, stdout, stderr } = await runExample(path, { CODERUN_URL: gateway.url });
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/Completed[\s\S]*42/);
    expect(gateway.allRuns()[0]?.spec).toMatchObject({ args: ['numbers.txt'], timeoutSeconds: 10 });
  });

  test.each(named('run'))('%s fails where the gateway refuses', async (path) => {
    await using gateway = await aLiveGateway(completes());
    const { code } = await runExample(path, { CODERUN_URL: gateway.url, CODERUN_API_KEY: 'a key that nobody knows' });
    expect(code).not.toBe(0);
  });

  test.each(named('batch'))('%s shows each item as it ends', async (path) => {
    await using gateway = await aLiveGateway();
    const shown = runExample(path, { CODERUN_URL: gateway.url });
    await gateway.until(() => gateway.kube.all(CODE_BATCHES).length > 0);
    const [batch] = gateway.kube.all<CodeBatch>(CODE_BATCHES);
    if (!batch) throw new Error('there is no batch');
    const items = batch.spec.items.map(({ name }) => ({
      name,
      runName: name,
      reason: 'Completed',
      completionTime: '2026-01-01T00:00:00Z',
    }));
    const condition = {
      type: 'Succeeded',
      status: 'True',
      reason: 'Completed',
      message: '',
      observedGeneration: 1,
      lastTransitionTime: '',
    } as const;
    await gateway.kube.replaceStatus(CODE_BATCHES, { ...batch, status: { items, conditions: [condition] } });
    const { code, stdout } = await shown;
    expect(code).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(3);
  });

  test.each(named('agent'))('%s shows the program of the model and what it printed', async (path) => {
    await using server = await startHttpServer(programAnswer('print(541)'));
    const languageModel = openAiModel({
      baseUrl: `${server.url}/v1`,
      apiKeyFile: undefined,
      models: ['small'],
      timeoutMilliseconds: 5000,
    });
    await using gateway = await aLiveGateway(completes('541\n'), { languageModel });
    const { code, stdout } = await runExample(path, { CODERUN_URL: gateway.url });
    expect(code).toBe(0);
    expect(stdout).toMatch(/print\(541\)[\s\S]*541/);
  });

  test.each(named('agent'))('%s says how to configure a model where there is none', async (path) => {
    await using gateway = await aLiveGateway();
    const { stdout, stderr } = await runExample(path, { CODERUN_URL: gateway.url });
    expect(stdout + stderr).toContain('CODERUN_LLM_BASE_URL');
  });
});
