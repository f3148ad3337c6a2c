/** The examples of docs/http-api.md, in the order in which they are sent, and a controller that does what their programs would. */

import type { CodeBatch, CodeBatchStatus } from '../../src/api/codebatch.ts';
import type { CodeRun, CodeRunStatus } from '../../src/api/coderun.ts';
import { succeededCondition } from '../../src/api/conditions.ts';
import { CODE_BATCHES, CODE_RUNS } from '../../src/api/group.ts';
import type { Reason } from '../../src/api/reasons.ts';
import type { LanguageModel } from '../../src/gateway/llm/model.ts';
import type { FakeKube } from './fake-kube.ts';
import { SESSION_EXAMPLES } from './http-session-examples.ts';

export interface Example {
  /** The operation that it is about. */
  operation: string;
  says: string;
  curl: string;
  status: number;
}

const JSON_TYPE = "-H 'content-type: application/json'";

export const EXAMPLES: Example[] = [
  {
    operation: 'execute',
    says: 'Four fields in, four fields out:',
    curl: `curl -s $CODERUN_URL/execute ${JSON_TYPE} -d '{"code": "print(6 * 7)", "timeout": 10}'`,
    status: 200,
  },
  {
    operation: 'execute',
    says: 'A field that is wrong is named:',
    curl: `curl -s $CODERUN_URL/execute ${JSON_TYPE} -d '{"code": "print(6 * 7)", "timeout": "10s"}'`,
    status: 400,
  },
  {
    operation: 'executeBatch',
    says: 'A list of the same:',
    curl: `curl -s $CODERUN_URL/execute/batch ${JSON_TYPE} -d '[{"code": "print(6 * 7)"}, {"code": "1/0"}]'`,
    status: 201,
  },
  {
    operation: 'createRun',
    says: 'Created, and not waited for:',
    curl: `curl -s $CODERUN_URL/v1/runs ${JSON_TYPE} -d '{"name": "hello", "code": "print(6 * 7)", "timeoutSeconds": 30}'`,
    status: 201,
  },
  {
    operation: 'createRun',
    says: 'Waited for. With an Idempotency-Key it may be sent again after whatever failure, and runs once:',
    curl: `curl -s "$CODERUN_URL/v1/runs?wait=30" ${JSON_TYPE} -H 'idempotency-key: 8e03978e-40d5' -d '{"code": "1/0"}'`,
    status: 201,
  },
  {
    operation: 'createRun',
    says: 'The same key with another body is a mistake:',
    curl: `curl -s $CODERUN_URL/v1/runs ${JSON_TYPE} -H 'idempotency-key: 8e03978e-40d5' -d '{"code": "2/0"}'`,
    status: 422,
  },
  {
    operation: 'createRun',
    says: 'Created and followed at once; the run is cancelled when the client leaves:',
    curl: `curl -sN "$CODERUN_URL/v1/runs?cancelOnDisconnect=true" ${JSON_TYPE} -H 'accept: text/event-stream' -d '{"name": "followed", "code": "print(6 * 7)"}'`,
    status: 201,
  },
  { operation: 'getRun', says: 'A run that has ended:', curl: 'curl -s $CODERUN_URL/v1/runs/hello', status: 200 },
  { operation: 'getRun', says: 'A run that there is not:', curl: 'curl -s $CODERUN_URL/v1/runs/nothing', status: 404 },
  { operation: 'listRuns', says: 'Two a page:', curl: 'curl -s "$CODERUN_URL/v1/runs?limit=2"', status: 200 },
  {
    operation: 'getRunLogs',
    says: 'What it printed:',
    curl: 'curl -sN "$CODERUN_URL/v1/runs/hello/logs?follow=true"',
    status: 200,
  },
  {
    operation: 'getRunEvents',
    says: 'What came after the event of this id:',
    curl: `curl -sN $CODERUN_URL/v1/runs/followed/events -H 'last-event-id: 2-0-0-0'`,
    status: 200,
  },
  {
    operation: 'createRun',
    says: 'With a file that is brought back:',
    curl: `curl -s "$CODERUN_URL/v1/runs?wait=30" ${JSON_TYPE} -d '{"name": "files", "code": "open(\\"a.txt\\", \\"w\\").write(\\"hello\\")", "artifacts": ["*.txt"]}'`,
    status: 201,
  },
  {
    operation: 'getRunArtifact',
    says: 'The file of the run above:',
    curl: 'curl -s $CODERUN_URL/v1/runs/files/artifacts/a.txt -o a.txt',
    status: 200,
  },
  {
    operation: 'cancelRun',
    says: 'A run that has ended stays as it is:',
    curl: 'curl -s -X DELETE $CODERUN_URL/v1/runs/hello',
    status: 200,
  },
  {
    operation: 'createBatch',
    says: 'Two programs, one at a time:',
    curl: `curl -s $CODERUN_URL/v1/batches ${JSON_TYPE} -d '{"name": "many", "items": [{"name": "first", "code": "print(6 * 7)"}, {"code": "1/0"}], "parallelism": 1}'`,
    status: 201,
  },
  {
    operation: 'getBatch',
    says: 'Until it has ended:',
    curl: 'curl -s "$CODERUN_URL/v1/batches/many?wait=30"',
    status: 200,
  },
  {
    operation: 'getBatchResults',
    says: 'A line an item:',
    curl: 'curl -sN $CODERUN_URL/v1/batches/many/results',
    status: 200,
  },
  { operation: 'cancelBatch', says: '', curl: 'curl -s -X DELETE $CODERUN_URL/v1/batches/many', status: 200 },
  ...SESSION_EXAMPLES,
  {
    operation: 'runAgent',
    says: 'A language model writes the program:',
    curl: `curl -s $CODERUN_URL/v1/agent ${JSON_TYPE} -d '{"task": "What is six times seven?", "maxRounds": 3}'`,
    status: 200,
  },
  {
    operation: 'runAgent',
    says: 'The same, told step by step:',
    curl: `curl -sN $CODERUN_URL/v1/agent ${JSON_TYPE} -H 'accept: text/event-stream' -d '{"task": "What is six times seven?"}'`,
    status: 200,
  },
];

const START = '2026-01-01T00:00:00Z';
const END = '2026-01-01T00:00:01Z';

const COMMON: CodeRunStatus = { startTime: START, completionTime: END, durationMilliseconds: 12 };

/** What the programs of the examples come to. */
function outcomeOf({ spec }: CodeRun): [Reason, CodeRunStatus] {
  switch (spec.code) {
    case '1/0': {
      const traceback =
        'Traceback (most recent call last):\n  File "main.py", line 1, in <module>\nZeroDivisionError: division by zero\n';
      const error = { name: 'ZeroDivisionError', value: 'division by zero', traceback };
      return ['NonZeroExit', { ...COMMON, exitCode: 1, stderr: traceback, error }];
    }
    case 'print(6 * 7)\n':
    case 'print(6 * 7)':
      return ['Completed', { ...COMMON, exitCode: 0, stdout: '42\n' }];
    default: {
      const artifacts = [{ path: 'a.txt', bytes: 5, contentBase64: 'aGVsbG8=' }];
      return ['Completed', { ...COMMON, exitCode: 0, artifacts }];
    }
  }
}

const conditionOf = (reason: Reason) => succeededCondition(reason, '', 1, new Date(END), undefined);

/** Ends every run and batch as soon as it is created. */
export function pretendController(kube: FakeKube): void {
  kube.onWrite(() => {
    const runs = kube.all<CodeRun>(CODE_RUNS).filter(({ status }) => !status);
    const batches = kube.all<CodeBatch>(CODE_BATCHES).filter(({ status }) => !status);
    queueMicrotask(() => {
      for (const run of runs) void endRun(kube, run);
      for (const batch of batches) void endBatch(kube, batch);
    });
  });
}

async function endRun(kube: FakeKube, run: CodeRun): Promise<void> {
  const [reason, status] = outcomeOf(run);
  await kube
    .replaceStatus(CODE_RUNS, { ...run, status: { ...status, conditions: [conditionOf(reason)] } })
    .catch(() => undefined);
}

async function endBatch(kube: FakeKube, batch: CodeBatch): Promise<void> {
  const items = batch.spec.items.map(({ name, code }) => ({
    name,
    runName: `${batch.metadata.name}-${name}`,
    reason: code === '1/0' ? 'NonZeroExit' : 'Completed',
    exitCode: code === '1/0' ? 1 : 0,
    durationMilliseconds: 12,
    completionTime: END,
  }));
  const failed = items.filter(({ exitCode }) => exitCode !== 0).length;
  const counts = { total: items.length, queued: 0, running: 0, succeeded: items.length - failed, failed };
  const condition = {
    ...conditionOf('NonZeroExit'),
    reason: 'ItemsFailed',
    message: `${failed} of ${items.length} items failed.`,
  };
  const status: CodeBatchStatus = { counts, items, startTime: START, completionTime: END, conditions: [condition] };
  await kube.replaceStatus(CODE_BATCHES, { ...batch, status }).catch(() => undefined);
}

/** Knows one program. */
export const PRETENDED_MODEL: LanguageModel = {
  models: ['a-model'],
  complete: async () => '```python\nprint(6 * 7)\n```',
};
