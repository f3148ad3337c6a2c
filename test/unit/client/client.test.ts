import { describe, expect, test } from 'vitest';
import { Coderun, ConnectionError, ProblemError } from '../../../src/client/index.ts';
import { anExit } from '../../support/builders.ts';
import { NAMESPACE } from '../../support/gateway-world.ts';
import { type Answer, answerJson, answerReset, startHttpServer } from '../../support/http-server.ts';
import { aLiveGateway, completes } from '../../support/live-gateway.ts';

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('the client and a gateway', () => {
  test('a run is created, waited for and looked at', async () => {
    await using gateway = await aLiveGateway(completes('42\n'));
    const { runs } = gateway.client;
    const created = await runs.create({ code: 'print(42)', name: 'hello' }, { waitSeconds: 5 });
    expect(created).toMatchObject({ name: 'hello', state: 'succeeded', stdout: '42\n' });
    expect(await runs.wait('hello')).toEqual(created);
    expect((await runs.list()).items.map(({ name }) => name)).toEqual(['hello']);
  });

  test('a run is cancelled', async () => {
    await using gateway = await aLiveGateway();
    await gateway.client.runs.create({ code: '1', name: 'long' });
    await gateway.client.runs.cancel('long');
    expect(gateway.allRuns()[0]?.spec.cancelled).toBe(true);
  });

  test('an artifact comes back byte by byte, from a path with slashes too', async () => {
    const content = Buffer.from([0, 255, 10]);
    const artifacts = [{ path: 'out/a.bin', bytes: 3, contentBase64: content.toString('base64') }];
    await using gateway = await aLiveGateway(completes('', { artifacts }));
    const { name } = await gateway.client.runs.create({ code: '1' }, { waitSeconds: 5 });
    expect(Buffer.from(await gateway.client.runs.artifact(name, 'out/a.bin'))).toEqual(content);
  });

  test('the output of one stream is followed to its end', async () => {
    await using gateway = await aLiveGateway(() => ({ reason: 'Running', status: { sandbox: { podName: 'pod' } } }));
    const { name } = await gateway.client.runs.create({ code: '1' });
    const id = gateway.allRuns()[0]?.metadata.uid ?? '';
    const events = [{ stdout: 'a' }, { stderr: 'b' }, { stdout: 'ä' }, anExit({ exitCode: 0 })];
    const log = events.map((event) => `${JSON.stringify({ ...event, id })}\n`).join('');
    gateway.kube.setLog(NAMESPACE, 'pod', Buffer.from(log));
    const read = await Array.fromAsync(gateway.client.runs.logs(name, { follow: true, stream: 'stdout' }));
    expect(read.join('')).toBe('aä');
  });

  test('a refusal is an error with its code and its field', async () => {
    await using gateway = await aLiveGateway();
    const error = await failureOf(gateway.client.runs.create({ code: '1', timeoutSeconds: 0 }));
    expect(error).toBeInstanceOf(ProblemError);
    expect(error).toMatchObject({
      code: 'InvalidRequest',
      status: 400,
      retrySafe: true,
      errors: [{ field: 'timeoutSeconds' }],
    });
  });

  test('a name can not reach another path', async () => {
    await using gateway = await aLiveGateway();
    expect(await failureOf(gateway.client.runs.get('../batches/x'))).toMatchObject({ code: 'InvalidRequest' });
  });
});

describe('the client and what is no gateway, or a broken one', () => {
  const broken: Answer = (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 });
    response.write('{');
    setImmediate(() => response.socket?.resetAndDestroy());
  };
  const html: Answer = (response) => response.writeHead(502).end('<html>Bad Gateway</html>');
  test.each([
    ['a connection that is reset', answerReset, { kind: 'unreachable' }],
    ['an answer that breaks off', broken, { kind: 'broken' }],
    ['an answer that is not JSON', ((response) => response.end('hello')) as Answer, { kind: 'invalid' }],
    ['silence', (() => undefined) as Answer, { kind: 'timeout' }],
    ['a page of a proxy', html, { name: 'ProblemError', code: 'HTTP502', retrySafe: false }],
    [
      'a problem of the wrong shape',
      answerJson(400, { code: 7, detail: [], errors: [null, 'x', { field: 7 }] }),
      { name: 'ProblemError', code: 'HTTP400', errors: [] },
    ],
  ])('%s is an error that says so', async (_name, answer, expected) => {
    await using server = await startHttpServer(answer);
    const { runs } = new Coderun({ baseUrl: server.url, timeoutMilliseconds: 300 });
    expect(await failureOf(runs.get('x'))).toMatchObject(expected);
  });

  test('a redirection is not followed: the key is for this gateway alone', async () => {
    const elsewhere: Answer = (response) => response.writeHead(302, { location: '/elsewhere' }).end();
    await using server = await startHttpServer(elsewhere, answerJson(200, {}));
    const { runs } = new Coderun({ baseUrl: server.url, apiKey: 'secret' });
    expect(await failureOf(runs.get('x'))).toMatchObject({ kind: 'unreachable' });
    expect(server.requests).toHaveLength(1);
  });

  test('a problem says when to come back', async () => {
    const problem = { code: 'TooManyRuns', detail: 'Too many.', retrySafe: true };
    await using server = await startHttpServer(answerJson(429, problem, { 'retry-after': '7' }));
    const { runs } = new Coderun({ baseUrl: server.url });
    expect(await failureOf(runs.get('x'))).toMatchObject({
      code: 'TooManyRuns',
      retryAfterSeconds: 7,
      retrySafe: true,
    });
  });

  test('output that breaks off is asked for again, and nothing of it comes twice', async () => {
    const beginning: Answer = (response) => {
      response.writeHead(200);
      response.write('one t', () => response.socket?.resetAndDestroy());
    };
    const whole: Answer = (response) => response.end('one two');
    await using server = await startHttpServer(beginning, answerReset, whole);
    const { runs } = new Coderun({ baseUrl: server.url });
    // The second connection is not opened at all, which is for the caller to know.
    const reading = Array.fromAsync(runs.logs('x', { follow: true }));
    expect(await failureOf(reading)).toBeInstanceOf(ConnectionError);
    await using again = await startHttpServer(beginning, whole);
    const read = await Array.fromAsync(new Coderun({ baseUrl: again.url }).runs.logs('x', { follow: true }));
    expect(read.join('')).toBe('one two');
  });

  test('the API key goes along, and every creation without a name has a key of its own', async () => {
    await using server = await startHttpServer(answerJson(201, {}));
    const { runs } = new Coderun({ baseUrl: `${server.url}/behind/a/proxy/`, apiKey: 'secret' });
    await runs.create({ code: '1' });
    await runs.create({ code: '1' });
    await runs.create({ code: '1', name: 'named' });
    const [first, second, named] = server.requests;
    expect(first).toMatchObject({ url: '/behind/a/proxy/v1/runs', headers: { authorization: 'Bearer secret' } });
    expect(first?.headers['idempotency-key']).toMatch(/^[0-9a-f-]{36}$/);
    expect(first?.headers['idempotency-key']).not.toBe(second?.headers['idempotency-key']);
    expect(named?.headers['idempotency-key']).toBeUndefined();
  });

  test('the caller may give up', async () => {
    await using server = await startHttpServer(() => undefined);
    const { runs } = new Coderun({ baseUrl: server.url });
    const reason = new Error('enough');
    expect(await failureOf(runs.get('x', { signal: AbortSignal.abort(reason) }))).toBe(reason);
  });

  test('a base URL that is none is refused at once', () => {
    expect(() => new Coderun({ baseUrl: 'localhost:8080' })).toThrow('baseUrl');
  });
});

describe('an execution in a session, followed', () => {
  test('its events come as they are, and what is not known is passed over', async () => {
    const stream = [
      'event: started\ndata: {"executionCount":3}\n\n',
      'event: stdout\ndata: {"text":"a"}\n\n: beat\n\n',
      'event: result\ndata: {"mime":{"text/plain":"1"}}\n\n',
      'event: error\ndata: {"name":"E","value":"v","traceback":"t"}\n\n',
      'event: finished\ndata: {"reason":"NonZeroExit","stateKept":true}\n\n',
    ];
    await using server = await startHttpServer((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(stream.join(''));
    });
    const { sessions } = new Coderun({ baseUrl: server.url });
    expect(await Array.fromAsync(sessions.follow('s', { code: '1' }))).toEqual([
      { event: 'stdout', text: 'a' },
      { event: 'result', mime: { 'text/plain': '1' } },
      { event: 'error', error: { name: 'E', value: 'v', traceback: 't' } },
      { event: 'finished', execution: { reason: 'NonZeroExit', stateKept: true } },
    ]);
    expect(server.requests[0]).toMatchObject({ method: 'POST', url: '/v1/sessions/s/execute' });
    expect(server.requests[0]?.headers.accept).toBe('text/event-stream');
  });
});
