/** A run as it is answered over HTTP: the fields of its status, flat, and where it stands in one word. */

import { z } from 'zod';
import { type CodeRun, type CodeRunStatus, codeRunResultFields } from '../api/coderun.ts';
import { type Condition, findCondition } from '../api/conditions.ts';
import { REASONS, type RunState } from '../api/reasons.ts';
import { isReason } from './problem.ts';

const head = {
  name: z.string().describe('Name of the run.'),
  namespace: z.string().describe('Namespace of the run.'),
  state: z
    .enum(['queued', 'starting', 'running', 'succeeded', 'failed'])
    .describe('Where the run stands; succeeded and failed are final.'),
  reason: z.string().describe('Why it stands there: Queued, Running, Completed, NonZeroExit, Timeout, OutOfMemory, …'),
  message: z.string().describe('The reason in a sentence.'),
  retrySafe: z.boolean().describe('True where the very same run may be sent again without a double effect.'),
};

export const RunView = z
  .strictObject({ ...head, ...codeRunResultFields })
  .meta({ id: 'Run', description: 'A run. Fields that are not known yet are absent.' });
export type RunView = z.output<typeof RunView>;

/** What a program printed and made is left out of lists, so that a page stays small. */
const { stdout, stderr, results, artifacts, ...summaryFields } = codeRunResultFields;

export const RunSummary = z
  .strictObject({ ...head, ...summaryFields })
  .meta({ id: 'RunSummary', description: 'A run in a list: without stdout, stderr, results and artifacts.' });
export type RunSummary = z.output<typeof RunSummary>;

const STATE_OF: Record<Condition['status'], RunState> = { True: 'succeeded', False: 'failed', Unknown: 'queued' };

/** A run or a batch. */
interface Ending {
  status?: { conditions?: Condition[] };
}

export const succeeded = ({ status }: Ending): Condition | undefined => findCondition(status?.conditions, 'Succeeded');

export function isEnded(object: Ending): boolean {
  const status = succeeded(object)?.status;
  return status === 'True' || status === 'False';
}

/** What a view is made of. */
export type Viewed = Pick<CodeRun, 'status'> & { metadata: Pick<CodeRun['metadata'], 'name' | 'namespace'> };

export const runView = (run: Viewed): RunView => ({ ...headOf(run), ...pick(run.status, codeRunResultFields) });

export const runSummary = (run: CodeRun): RunSummary => ({ ...headOf(run), ...pick(run.status, summaryFields) });

function headOf(run: Viewed) {
  const { name, namespace = '' } = run.metadata;
  const { reason, message, status } = succeeded(run) ?? { reason: 'Queued', message: '', status: 'Unknown' };
  // A newer controller may give reasons that this gateway does not know.
  const row = isReason(reason) ? REASONS[reason] : { state: STATE_OF[status], sentence: '', retrySafe: false };
  return {
    name,
    namespace,
    state: row.state,
    reason,
    message: message || row.sentence,
    retrySafe: run.status?.retrySafe ?? row.retrySafe,
  };
}

function pick<K extends string>(status: CodeRunStatus | undefined, fields: Record<K, unknown>) {
  const entries = Object.entries(status ?? {}).filter(([key]) => Object.hasOwn(fields, key));
  return Object.fromEntries(entries) as Partial<Pick<CodeRunStatus, K & keyof CodeRunStatus>>;
}
