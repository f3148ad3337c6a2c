/** The CustomResourceDefinitions of the group, each made from its schema. `npm run generate` writes them into crds/. */

import { CodeBatchResult, CodeBatchSpec } from './codebatch.ts';
import { CodeRunResult, CodeRunSpec } from './coderun.ts';
import { customResourceDefinition, type PrinterColumn } from './crd.ts';
import { CODE_BATCHES, CODE_RUNS, REPL_SESSIONS, SANDBOX_CLASSES, SANDBOX_POOLS } from './group.ts';
import { ReplSessionResult, ReplSessionSpec } from './replsession.ts';
import { SandboxClassSpec } from './sandboxclass.ts';
import { SandboxPoolResult, SandboxPoolSpec } from './sandboxpool.ts';

const AGE: PrinterColumn = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Time since the creation.',
};

const conditionPath = (type: string) => (field: 'status' | 'reason') =>
  `.status.conditions[?(@.type=="${type}")].${field}`;
const succeeded = conditionPath('Succeeded');
const ready = conditionPath('Ready');

const POD: PrinterColumn = {
  name: 'Pod',
  type: 'string',
  jsonPath: '.status.sandbox.podName',
  description: 'Sandbox pod.',
  priority: 1,
};

const NODE: PrinterColumn = {
  name: 'Node',
  type: 'string',
  jsonPath: '.status.sandbox.nodeName',
  description: 'Node of the sandbox pod.',
  priority: 1,
};
/** By which a claim is found. */
const POD_UID = '.status.sandbox.podUID';

const WARM: PrinterColumn = {
  name: 'Warm',
  type: 'boolean',
  jsonPath: '.status.sandbox.warm',
  description: 'Whether the sandbox had waited in a pool.',
  priority: 1,
};

/** File name (without suffix) → CustomResourceDefinition. */
export const crds = (): Record<string, object> => ({
  coderuns: customResourceDefinition({
    type: CODE_RUNS,
    shortName: 'crun',
    description: 'One piece of code, run once in a sandbox. Its result is in its status.',
    spec: CodeRunSpec,
    status: CodeRunResult,
    mutable: ['cancelled'],
    selectable: [POD_UID],
    columns: [
      {
        name: 'Succeeded',
        type: 'string',
        jsonPath: succeeded('status'),
        description: 'True, False, or Unknown while the run goes on.',
      },
      { name: 'Reason', type: 'string', jsonPath: succeeded('reason'), description: 'Why.' },
      { name: 'Exit', type: 'integer', jsonPath: '.status.exitCode', description: 'Exit code of the program.' },
      {
        name: 'Duration',
        type: 'integer',
        jsonPath: '.status.durationMilliseconds',
        description: 'How long the program ran, in milliseconds.',
      },
      AGE,
      POD,
      NODE,
      WARM,
    ],
  }),
  replsessions: customResourceDefinition({
    type: REPL_SESSIONS,
    shortName: 'rsess',
    description: 'A sandbox that keeps variables, files and packages from one execution to the next, until it expires.',
    spec: ReplSessionSpec,
    status: ReplSessionResult,
    mutable: ['terminated'],
    selectable: [POD_UID],
    columns: [
      { name: 'Ready', type: 'string', jsonPath: ready('status'), description: 'Whether it takes executions.' },
      { name: 'Reason', type: 'string', jsonPath: ready('reason'), description: 'Why.' },
      { name: 'Executions', type: 'integer', jsonPath: '.status.executions', description: 'Executions so far.' },
      {
        name: 'Expires',
        // kubectl shows a time of the type date as an age, and one that is to come as invalid.
        type: 'string',
        jsonPath: '.status.expiresAt',
        description: 'When it will be ended, unless it is used before.',
      },
      AGE,
      POD,
      NODE,
      WARM,
    ],
  }),
  codebatches: customResourceDefinition({
    type: CODE_BATCHES,
    shortName: 'cbatch',
    description: 'Many programs, each run once as a CodeRun of its own. How each ended is in the status.',
    spec: CodeBatchSpec,
    status: CodeBatchResult,
    mutable: ['cancelled', 'parallelism'],
    costly: ['items'],
    columns: [
      {
        name: 'Succeeded',
        type: 'string',
        jsonPath: succeeded('status'),
        description: 'True, False, or Unknown while items run.',
      },
      { name: 'Reason', type: 'string', jsonPath: succeeded('reason'), description: 'Why.' },
      { name: 'Items', type: 'integer', jsonPath: '.status.counts.total', description: 'Items of the batch.' },
      {
        name: 'Completed',
        type: 'integer',
        jsonPath: '.status.counts.succeeded',
        description: 'Items whose program ended with exit code 0.',
      },
      {
        name: 'Failed',
        type: 'integer',
        jsonPath: '.status.counts.failed',
        description: 'Items that ended in any other way.',
      },
      AGE,
      {
        name: 'Running',
        type: 'integer',
        jsonPath: '.status.counts.running',
        description: 'Items whose program runs.',
        priority: 1,
      },
    ],
  }),
  sandboxpools: customResourceDefinition({
    type: SANDBOX_POOLS,
    shortName: 'spool',
    description:
      'Sandboxes of a class that are started ahead, so that a run or a session of this namespace has one in milliseconds.',
    spec: SandboxPoolSpec,
    status: SandboxPoolResult,
    mutable: ['replicas', 'maxAgeSeconds'],
    scale: true,
    columns: [
      { name: 'Class', type: 'string', jsonPath: '.spec.className', description: 'Class of the sandboxes.' },
      { name: 'Wanted', type: 'integer', jsonPath: '.spec.replicas', description: 'Sandboxes that should wait.' },
      { name: 'Waiting', type: 'integer', jsonPath: '.status.ready', description: 'Sandboxes that wait.' },
      {
        name: 'Claimed',
        type: 'integer',
        jsonPath: '.status.claimed',
        description: 'Sandboxes that a run or a session has.',
      },
      {
        name: 'Reason',
        type: 'string',
        jsonPath: ready('reason'),
        description: 'Why it is or is not ready.',
        priority: 1,
      },
      AGE,
    ],
  }),
  sandboxclasses: customResourceDefinition({
    type: SANDBOX_CLASSES,
    shortName: 'sclass',
    description:
      'A kind of sandbox that runs may ask for: image, isolation, network and limits. Written by the administrator.',
    spec: SandboxClassSpec,
    mutable: 'all',
    columns: [
      {
        name: 'Runtime',
        type: 'string',
        jsonPath: '.spec.runtimeClassName',
        description: 'RuntimeClass of the sandbox pods.',
      },
      { name: 'Network', type: 'string', jsonPath: '.spec.network', description: 'What the sandboxes reach.' },
      { name: 'Image', type: 'string', jsonPath: '.spec.image', description: 'Image of the sandboxes.' },
      AGE,
    ],
  }),
});
