/** How long calls of a session take over HTTP. */

import { setTimeout as sleep } from 'node:timers/promises';
import { figuresOf, type Row } from './measure.ts';

const URL = process.env['CODERUN_URL'] ?? 'http://127.0.0.1:8080';
const MIB = 2 ** 20;

async function call(path: string, init: RequestInit, status: number): Promise<Response> {
  const response = await fetch(`${URL}${path}`, init);
  if (response.status !== status) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response;
}

const json = (body: object): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});

async function createSession(): Promise<string> {
  const { name } = (await (await call('/v1/sessions?wait=60', json({}), 201)).json()) as { name: string };
  return `/v1/sessions/${name}`;
}

const execute = async (session: string, code: string): Promise<string | undefined> => {
  const answer = await call(`${session}/execute`, json({ code }), 200);
  const { results } = (await answer.json()) as { results: { mime: Record<string, string> }[] };
  return results[0]?.mime['text/plain'];
};

const end = (session: string) => fetch(`${URL}${session}`, { method: 'DELETE' });

async function timed(times: number, once: (i: number) => Promise<unknown>, pause: number): Promise<number[]> {
  const samples: number[] = [];
  for (let i = 0; i < times; i++) {
    const started = performance.now();
    await once(i);
    samples.push(performance.now() - started);
    await sleep(pause);
  }
  return samples;
}

/** Executions one after the other, a file both ways, and sessions from nothing to their first result. */
export async function sessions(untilPoolWaits: () => Promise<void>): Promise<Row[]> {
  const session = await createSession();
  await execute(session, 'x = 0');
  const executions = await timed(500, () => execute(session, 'x += 1'), 5);
  const kept = await execute(session, 'x');
  if (kept !== '500') throw new Error(`x is ${kept}`);
  const path = `${session}/files/content?path=large`;
  const body = new Uint8Array(10 * MIB);
  const up = await timed(5, () => call(path, { method: 'PUT', body }, 204), 200);
  const down = await timed(5, async () => (await call(path, {}, 200)).arrayBuffer(), 200);
  await end(session);
  const first: number[] = [];
  for (let i = 0; i < 15; i++) {
    await untilPoolWaits();
    await sleep(1500);
    let made = '';
    first.push(
      ...(await timed(
        1,
        async () => {
          made = await createSession();
          await execute(made, '6 * 7');
        },
        0,
      )),
    );
    await end(made);
  }
  return [
    figuresOf('session: x += 1 over HTTP', executions),
    figuresOf('session: 10 MiB up', up),
    figuresOf('session: 10 MiB down', down),
    figuresOf('session from a pool, create → first result', first),
  ];
}
