/** What the gateway takes and answers, as types made from the gateway's own schemas: nothing of it is there at run time. */

import type { z } from 'zod';
import type { BatchView } from '../gateway/batch-view.ts';
import type { ProblemBody } from '../gateway/problem.ts';
import type { AgentExecution, AgentRequest, AgentResponse } from '../gateway/routes/agent.ts';
import type { CreateBatch } from '../gateway/routes/batch-schemas.ts';
import type { CreateRun } from '../gateway/routes/schemas.ts';
import type { RunSummary, RunView } from '../gateway/run-view.ts';

export type Run = RunView;
export type RunListItem = RunSummary;
export type Batch = BatchView;
/** How an item of a batch ended: its run, with the name of the item. */
export type BatchItemResult = Run & { item: string };
export type NewRun = z.input<typeof CreateRun>;
export type NewBatch = z.input<typeof CreateBatch>;
export type ProblemDetails = ProblemBody;

/** A page of a list; `continue` is absent on the last. */
export interface Page<T> {
  items: T[];
  continue?: string;
}

export interface NewSession {
  name?: string;
  className?: string;
  idleTimeoutSeconds?: number;
  maxLifetimeSeconds?: number;
  resources?: { cpu?: string; memory?: string };
  env?: { name: string; value: string }[];
  files?: { path: string; content?: string; contentBase64?: string }[];
  packages?: string[];
}

export interface Session {
  name: string;
  state: 'starting' | 'ready' | 'ended';
  reason: string;
  message?: string;
  expiresAt?: string;
  lastActivityTime?: string;
  executions?: number;
}

export interface NewExecution {
  code: string;
  language?: 'python' | 'bash';
  /** Name of the interpreter, one of several that a session may have. */
  context?: string;
  timeoutSeconds?: number;
  stdin?: string;
  /** Goes on when the client leaves. */
  detach?: boolean;
}

export interface ProgramError {
  name: string;
  value: string;
  traceback: string;
}

/** Each form of a result by its MIME type; binary forms are base64. */
export interface MimeBundle {
  mime: Record<string, string>;
}

export interface Execution {
  reason: string;
  stdout: string;
  stderr: string;
  error?: ProgramError | null;
  results: MimeBundle[];
  executionCount: number;
  durationMilliseconds: number;
  stateKept: boolean;
}

/** One event of an execution that is followed as it goes. */
export type ExecutionEvent =
  | { event: 'stdout' | 'stderr'; text: string }
  | { event: 'result'; mime: Record<string, string> }
  | { event: 'error'; error: ProgramError }
  | { event: 'finished'; execution: Partial<Execution> };

export interface Variable {
  name: string;
  type: string;
  size: string;
  repr: string;
}

export interface SessionFile {
  name: string;
  kind: 'file' | 'folder' | 'link' | 'other';
  bytes: number;
  modified: string | number;
}

export interface InstalledPackage {
  name: string;
  version: string | null;
  message: string;
}

/** One event of an installation that is followed as it goes. */
export type InstallEvent =
  | { event: 'stdout' | 'stderr'; text: string }
  | { event: 'finished'; packages: InstalledPackage[] };

export type AgentTask = z.input<typeof AgentRequest>;
export type AgentAnswer = z.output<typeof AgentResponse>;

/** One step of a task that is followed as it goes. */
export type AgentEvent =
  | { event: 'round'; round: number }
  | { event: 'code'; round: number; generated_code: string }
  | { event: 'result'; round: number; execution_result: z.output<typeof AgentExecution> }
  | { event: 'finished'; answer: AgentAnswer };
