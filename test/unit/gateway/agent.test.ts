import { describe, expect, test } from 'vitest';
import { type LanguageModel, type Message, ModelError, type ModelFailure } from '../../../src/gateway/llm/model.ts';
import { openAiModel } from '../../../src/gateway/llm/openai-model.ts';
import { messagesFor } from '../../../src/gateway/llm/prompt.ts';
import { programAnswer } from '../../support/chat-server.ts';
import { aCli } from '../../support/cli-world.ts';
import { NAMESPACE, problemOf } from '../../support/gateway-world.ts';
import { startHttpServer } from '../../support/http-server.ts';
import { aLiveGateway, type Controller, until } from '../../support/live-gateway.ts';

type Reply = string | ModelError;

/** A model that gives one answer after the other, and remembers what it was told. */
function aModel(...replies: Reply[]) {
  const heard: { messages: readonly Message[]; model: string }[] = [];
  const model: LanguageModel = {
    models: ['small', 'large'],
    async complete(messages, { model: name }) {
      heard.push({ messages, model: name });
      const reply = replies[Math.min(heard.length, replies.length) - 1] ?? '';
      if (reply instanceof ModelError) throw reply;
      return reply;
    },
  };
  return { model, heard };
}

const program = (code: string) => `\`\`\`python\n${code}\n\`\`\``;

/** The program `good` ends well; every other fails. */
const judge: Controller = ({ spec }) =>
  spec.code === 'good\n'
    ? { reason: 'Completed', status: { exitCode: 0, stdout: '42\n', stderr: '' } }
    : { reason: 'NonZeroExit', status: { exitCode: 1, stdout: '', stderr: 'NameError: bad\n' } };

const aGateway = (controller: Controller | undefined, ...replies: Reply[]) => {
  const { model, heard } = aModel(...replies);
  return aLiveGateway(controller, { languageModel: model }).then((gateway) => Object.assign(gateway, { heard }));
};

describe('POST /v1/agent', () => {
  test('the model writes a program, a sandbox runs it, and both are answered', async () => {
    await using gateway = await aGateway(judge, program('good'));
    const answer = await gateway.post('/v1/agent', { task: 'Say 42.' });
    expect(answer.json()).toMatchObject({
      task: 'Say 42.',
      generated_code: 'good\n',
      execution_result: { success: true, stdout: '42\n', stderr: '', returncode: 0, reason: 'Completed' },
      rounds: [{ generated_code: 'good\n' }],
    });
    expect(gateway.allRuns()[0]?.spec).toMatchObject({ code: 'good\n', timeoutSeconds: 60 });
    expect(gateway.heard[0]).toMatchObject({
      model: 'small',
      messages: [{ role: 'system' }, { role: 'user', content: 'Say 42.' }],
    });
  });

  test('an error is given back to the model, which mends its program', async () => {
    await using gateway = await aGateway(judge, program('bad'), program('good'));
    const { rounds, execution_result } = (await gateway.post('/v1/agent', { task: 'x', maxRounds: 3 })).json();
    expect(execution_result.success).toBe(true);
    expect(rounds.map(({ generated_code }: { generated_code: string }) => generated_code)).toEqual(['bad\n', 'good\n']);
    const [, , told, error] = gateway.heard[1]?.messages ?? [];
    expect(told).toEqual({ role: 'assistant', content: '```python\nbad\n```' });
    expect(error?.content).toContain('NameError: bad');
  });

  test('no round is begun but those that are allowed', async () => {
    await using gateway = await aGateway(judge, program('bad'));
    const { rounds, execution_result } = (await gateway.post('/v1/agent', { task: 'x', maxRounds: 2 })).json();
    expect([rounds.length, execution_result.returncode]).toEqual([2, 1]);
    expect(gateway.heard).toHaveLength(2);
  });

  test('an answer without a program is told so, and null where it stays at that', async () => {
    await using gateway = await aGateway(judge, 'I would rather not.');
    const answer = (await gateway.post('/v1/agent', { task: 'x', maxRounds: 2 })).json();
    expect(answer).toMatchObject({ generated_code: null, execution_result: null });
    expect(gateway.heard[1]?.messages.at(-1)?.content).toContain('no Python program');
    expect(gateway.allRuns()).toEqual([]);
  });

  test('a program that is larger than a run may be is none', async () => {
    await using gateway = await aGateway(judge, program(`# ${'ä'.repeat(300_000)}`));
    expect((await gateway.post('/v1/agent', { task: 'x' })).json()).toMatchObject({ generated_code: null });
  });

  test('the program runs in the session that is named, for as long as is said', async () => {
    await using gateway = await aGateway(judge, program('good'));
    await gateway.post('/v1/agent', { task: 'x', sessionName: 's', timeoutSeconds: 5, model: 'large' });
    expect(gateway.allRuns()[0]?.spec).toMatchObject({ sessionRef: { name: 's' }, timeoutSeconds: 5 });
    expect(gateway.heard[0]?.model).toBe('large');
  });

  test('a key that may use some classes only gets the first of them', async () => {
    const { model } = aModel(program('good'));
    const identify = () => ({ name: 'key', namespace: NAMESPACE, classes: ['small'] });
    await using gateway = await aLiveGateway(judge, { languageModel: model, identify });
    await gateway.post('/v1/agent', { task: 'x' });
    expect(gateway.allRuns()[0]?.spec.className).toBe('small');
  });

  test.each([
    ['busy', 503, 'ModelBusy'],
    ['timeout', 504, 'ModelTimeout'],
    ['refused', 502, 'ModelFailed'],
    ['unreachable', 502, 'ModelFailed'],
    ['failed', 502, 'ModelFailed'],
    ['malformed', 502, 'ModelFailed'],
  ] as [ModelFailure, number, string][])('a model that is %s is a problem', async (failure, status, code) => {
    await using gateway = await aGateway(judge, new ModelError(failure));
    const answer = await gateway.post('/v1/agent', { task: 'x' });
    expect([answer.statusCode, problemOf(answer).code, problemOf(answer).retrySafe]).toEqual([status, code, true]);
    expect(answer.headers['retry-after']).toBe(failure === 'busy' ? '10' : undefined);
  });

  test('after a program has run, sending the task again is not safe', async () => {
    await using gateway = await aGateway(judge, program('bad'), new ModelError('busy'));
    const answer = await gateway.post('/v1/agent', { task: 'x', maxRounds: 2 });
    expect(problemOf(answer)).toMatchObject({ code: 'ModelBusy', retrySafe: false });
    expect(answer.headers['retry-after']).toBeUndefined();
  });

  test('a sandbox that fails is a problem, not a fault of the program', async () => {
    await using gateway = await aGateway(() => ({ reason: 'SandboxStartFailed' }), program('good'));
    const answer = await gateway.post('/v1/agent', { task: 'x', maxRounds: 5 });
    expect(problemOf(answer).code).toBe('SandboxStartFailed');
    expect(gateway.heard).toHaveLength(1);
  });

  test.each([
    [{ task: '' }, 'task'],
    [{ task: 'x'.repeat(16_385) }, 'task'],
    [{ task: 'x', maxRounds: 11 }, 'maxRounds'],
    [{ task: 'x', maxRounds: 0 }, 'maxRounds'],
    [{ task: 'x', model: 'other' }, 'model'],
    [{ task: 'x', sessionName: '../x' }, 'sessionName'],
    [{ task: 'x', code: 'y' }, 'code'],
  ])('%# is refused by its field', async (body, field) => {
    await using gateway = await aGateway(judge, program('good'));
    const answer = await gateway.post('/v1/agent', body);
    expect([answer.statusCode, problemOf(answer).field]).toEqual([400, field]);
    expect(gateway.heard).toEqual([]);
  });

  test('without a model it is said how to configure one', async () => {
    await using gateway = await aLiveGateway(judge);
    const answer = await gateway.post('/v1/agent', { task: 'x' });
    expect([answer.statusCode, problemOf(answer).code]).toEqual([501, 'AgentNotConfigured']);
    expect(problemOf(answer).detail).toContain('CODERUN_LLM_BASE_URL');
  });

  test('whoever leaves gives the task up, and its program is cancelled', async () => {
    await using gateway = await aGateway(undefined, program('good'));
    const stop = new AbortController();
    const asked = gateway.client.agent({ task: 'x' }, { signal: stop.signal }).catch(() => undefined);
    await until(() => gateway.allRuns().length > 0);
    stop.abort();
    await asked;
    await until(() => gateway.allRuns()[0]?.spec.cancelled === true);
  });
});

describe('the steps of the agent as Server-Sent Events', () => {
  test('every step is told as it is taken', async () => {
    await using gateway = await aGateway(judge, program('bad'), program('good'));
    const events = await Array.fromAsync(gateway.client.followAgent({ task: 'x', maxRounds: 2 }));
    expect(events.map(({ event }) => event)).toEqual([
      'round',
      'code',
      'result',
      'round',
      'code',
      'result',
      'finished',
    ]);
    expect(events.at(-1)).toMatchObject({ answer: { task: 'x', execution_result: { success: true } } });
  });

  test('what goes wrong in the middle is told as a problem', async () => {
    await using gateway = await aGateway(judge, program('bad'), new ModelError('timeout'));
    const told: string[] = [];
    const following = (async () => {
      for await (const { event } of gateway.client.followAgent({ task: 'x', maxRounds: 2 })) told.push(event);
    })();
    await expect(following).rejects.toMatchObject({ name: 'ProblemError', code: 'ModelTimeout', status: 504 });
    expect(told).toEqual(['round', 'code', 'result', 'round']);
  });

  test('the command shows what the model wrote and what the program printed, and ends as that does', async () => {
    await using gateway = await aGateway(judge, program('bad'), program('good'));
    await using cli = aCli({ env: { CODERUN_URL: gateway.url } });
    expect(await cli.run('agent', 'Say 42.', '--max-rounds', '2')).toBe(0);
    expect(cli.out()).toBe('42\n');
    expect(cli.err()).toContain('bad\n');
    expect(cli.err()).toContain('round 2');
    await using other = aCli({ env: { CODERUN_URL: gateway.url } });
    expect(await other.run('agent', 'Fail.', '--json')).toBe(0);
    expect(JSON.parse(other.out())).toMatchObject({ task: 'Fail.' });
  });

  test('a task that fails ends the command with the exit code of its program', async () => {
    await using gateway = await aGateway(judge, program('bad'));
    await using cli = aCli({ env: { CODERUN_URL: gateway.url } });
    expect(await cli.run('agent', 'x')).toBe(1);
    await using silent = await aLiveGateway(judge);
    await using other = aCli({ env: { CODERUN_URL: silent.url } });
    expect(await other.run('agent', 'x')).toBe(69);
    expect(other.err()).toContain('AgentNotConfigured');
  });
});

describe('the agent and a real server of the protocol', () => {
  test('a task is solved in two rounds', async () => {
    await using server = await startHttpServer(programAnswer('bad'), programAnswer('good'));
    const languageModel = openAiModel({
      baseUrl: `${server.url}/v1`,
      apiKeyFile: undefined,
      models: ['small'],
      timeoutMilliseconds: 5000,
    });
    await using gateway = await aLiveGateway(judge, { languageModel });
    const answer = await gateway.client.agent({ task: 'Say 42.', maxRounds: 2 });
    expect(answer).toMatchObject({ execution_result: { success: true, stdout: '42\n' }, rounds: [{}, {}] });
    expect(JSON.parse(server.requests[1]?.body ?? '').messages.at(-1).content).toContain('NameError: bad');
  });
});

describe('what the model is told', () => {
  test('is bounded, however much the program printed and however long it is', () => {
    const stream = 'x'.repeat(1_000_000);
    const messages = messagesFor('t', {
      code: stream,
      result: { stdout: stream, stderr: `${stream}the end`, returncode: 1 },
    });
    expect(JSON.stringify(messages).length).toBeLessThan(12_000);
    expect(messages.at(-1)?.content).toContain('the end');
  });

  test('is one attempt, however many there were', () => {
    const failed = { code: 'a\n', result: { stdout: '', stderr: 'e', returncode: 1 } };
    expect(messagesFor('t', failed).map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'user']);
  });
});
