/** ReplSession: a sandbox that stays, and with it variables, files and packages, from one execution to the next. */

import { z } from 'zod';
import { codeRunFields, codeRunResultFields } from './coderun.ts';
import type { Condition } from './conditions.ts';
import type { ObjectMeta } from './object.ts';
import { withTransition } from './schema.ts';

/** The longest that a session may live, in seconds: what the kubelet grants a sandbox that may become one. */
export const LONGEST_SESSION_SECONDS = 86_400;

/** The fields of a spec, for an HTTP body to have them beside its own. */
export const replSessionFields = {
  className: codeRunFields.className,
  idleTimeoutSeconds: z
    .int()
    .min(10)
    .max(LONGEST_SESSION_SECONDS)
    .default(300)
    .describe(
      'How long the session may be unused before it is ended, in seconds. An execution is never cut off by it.',
    ),
  maxLifetimeSeconds: z
    .int()
    .min(10)
    .max(LONGEST_SESSION_SECONDS)
    .default(3600)
    .describe('How long the session may live once it is ready, used or not, in seconds.'),
  resources: codeRunFields.resources.describe('What each interpreter may use, at most the maximum of the class.'),
  env: codeRunFields.env.describe('Environment variables of all executions, up to 128.'),
  files: codeRunFields.files.describe('Files put into the working directory before the session is ready, up to 64.'),
  packages: codeRunFields.packages,
  ttlSecondsAfterFinished: codeRunFields.ttlSecondsAfterFinished.describe(
    'How long the ReplSession is kept after its end, in seconds, up to 30 days.',
  ),
  terminated: withTransition(z.boolean().default(false), {
    rule: 'self || !oldSelf',
    message: 'a terminated session cannot be set back',
  }).describe('Set to true to end the session; it cannot be set back.'),
};

export const ReplSessionSpec = z.strictObject(replSessionFields);

const Time = z.string().max(64).meta({ format: 'date-time' });

/** What a status says beside its conditions. */
export const sessionResultFields = {
  startTime: Time.optional().describe('When the session became ready; maxLifetimeSeconds counts from here.'),
  lastActivityTime: Time.optional().describe('When the session was last used, as of at most half a minute ago.'),
  expiresAt: Time.optional().describe('When the session will be ended, unless it is used before.'),
  executions: z.int().min(0).optional().describe('Executions that have begun, as of at most half a minute ago.'),
  completionTime: Time.optional().describe('When the session ended.'),
  sandbox: codeRunResultFields.sandbox.describe('The sandbox that the session has.'),
};

export const ReplSessionResult = z.strictObject(sessionResultFields);

export type ReplSessionSpec = z.output<typeof ReplSessionSpec>;
export type ReplSessionSpecInput = z.input<typeof ReplSessionSpec>;
export type ReplSessionStatus = z.output<typeof ReplSessionResult> & {
  conditions?: Condition[];
  observedGeneration?: number;
};

export interface ReplSession {
  apiVersion: string;
  kind: 'ReplSession';
  metadata: ObjectMeta;
  spec: ReplSessionSpec;
  status?: ReplSessionStatus;
}
