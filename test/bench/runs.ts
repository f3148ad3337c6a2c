/** How long runs take: alone, in bursts, at a steady rate, and as a batch. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { CodeBatch } from '../../src/api/codebatch.ts';
import { findCondition } from '../../src/api/conditions.ts';
import { API_VERSION, CODE_BATCHES, SANDBOX_NAMESPACE } from '../../src/api/group.ts';
import { batches, createRun, freshName, isFinished, kube, runs } from './cluster.ts';

/** Of which no sandbox waits. */
export const COLD_CLASS = 'bench-cold';
const RUN_TTL_SECONDS = 120;

interface Lived {
  milliseconds: number;
  warm: boolean;
}

/** From the creation of a CodeRun until a watch shows its result. Rejects where it did not print what it was to print. */
async function live(className?: string): Promise<Lived> {
  const name = freshName();
  const finished = runs.until(name, isFinished);
  const spec = { code: 'print(1)', ttlSecondsAfterFinished: RUN_TTL_SECONDS, ...(className && { className }) };
  const started = performance.now();
  await createRun(name, spec);
  const { status } = await finished;
  const milliseconds = performance.now() - started;
  if (status?.stdout !== '1\n') throw new Error(`unexpected: ${JSON.stringify(status)}`);
  return { milliseconds, warm: status.sandbox?.warm === true };
}

/** In milliseconds. Rejects where it did not run as it was meant to. */
export async function timeOfRun(isWarm: boolean): Promise<number> {
  const { milliseconds, warm } = await live(isWarm ? undefined : COLD_CLASS);
  if (warm !== isWarm) throw new Error(`the run was ${warm ? 'warm' : 'cold'}`);
  return milliseconds;
}

export async function timeOverHttp(): Promise<number> {
  const url = process.env['CODERUN_URL'] ?? 'http://127.0.0.1:8080';
  const headers = { 'content-type': 'application/json' };
  const started = performance.now();
  const response = await fetch(`${url}/execute`, { method: 'POST', headers, body: '{"code":"print(1)"}' });
  const answer = (await response.json()) as { stdout?: string };
  const milliseconds = performance.now() - started;
  if (answer.stdout !== '1\n') throw new Error(`POST /execute answered ${response.status}`);
  return milliseconds;
}

/** As many runs at once as sandboxes wait, in milliseconds until all are done. */
export async function timeOfBurst(size: number): Promise<number> {
  const started = performance.now();
  await Promise.all(Array.from({ length: size }, () => timeOfRun(true)));
  return performance.now() - started;
}

/** Runs that begin `apart` milliseconds from one another, for `milliseconds`, whatever becomes of those before. */
export async function liveSteadily(apart: number, milliseconds: number): Promise<Lived[]> {
  const end = performance.now() + milliseconds;
  const begun: Promise<Lived>[] = [];
  for (let next = performance.now(); next < end; next += apart) {
    await sleep(Math.max(0, next - performance.now()));
    begun.push(live());
  }
  return Promise.all(begun);
}

/** A CodeBatch of `count` one-line items, in milliseconds until a watch shows that all have ended. */
export async function timeOfBatch(count: number, parallelism: number): Promise<number> {
  const name = freshName();
  const items = Array.from({ length: count }, (_, index) => ({ name: `item-${index}`, code: `print(${index})` }));
  const finished = batches.until(
    name,
    ({ status }) => findCondition(status?.conditions, 'Succeeded')?.status === 'True',
  );
  const started = performance.now();
  await kube.create<CodeBatch>(CODE_BATCHES, {
    apiVersion: API_VERSION,
    kind: 'CodeBatch',
    metadata: { name, namespace: SANDBOX_NAMESPACE },
    ...{ spec: { items, parallelism, ttlSecondsAfterFinished: RUN_TTL_SECONDS } },
  });
  await finished;
  return performance.now() - started;
}
