/** What the routes below /v1/runs and /v1/sessions take and answer, beside a run or session itself. */

import type { Readable } from 'node:stream';
import { z } from 'zod';
import { codeRunFields } from '../../api/coderun.ts';
import { replSessionFields } from '../../api/replsession.ts';
import { ObjectName } from '../../api/schema.ts';
import { RunSummary } from '../run-view.ts';
import { SessionView } from '../session-view.ts';
import { SSE_TYPE } from '../sse.ts';

/** A wait must not outlast the patience of the proxies between here and a client. */
export const WAIT_LIMIT_SECONDS = 60;

const waitSeconds = (event: string) =>
  z
    .string()
    .regex(/^[0-9]{1,2}$/, `must be a whole number of seconds from 0 to ${WAIT_LIMIT_SECONDS}`)
    .transform(Number)
    .refine((seconds) => seconds <= WAIT_LIMIT_SECONDS, `must be ${WAIT_LIMIT_SECONDS} seconds or less`)
    .optional()
    .meta({
      type: 'integer',
      minimum: 0,
      maximum: WAIT_LIMIT_SECONDS,
      description: `How long to hold the answer until ${event}, in seconds, up to ${WAIT_LIMIT_SECONDS}.`,
    });

const nameOf = (kind: string) =>
  z
    .string()
    .max(253)
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, `must be the name of a ${kind}: lower-case letters, digits, "-" and "."`)
    .describe(`Name of the ${kind}.`);

export const RunPath = z.strictObject({ name: nameOf('run') });
export const SessionPath = z.strictObject({ name: nameOf('session') });

const { cancelled, ...creationFields } = codeRunFields;

export const CreateRun = z
  .strictObject({
    name: ObjectName.optional().describe('Name of the run, unique in its namespace. Left out, one is made.'),
    ...creationFields,
  })
  .refine((body) => (body.code === undefined) !== (body.codeFrom === undefined), {
    path: ['code'],
    message: 'set exactly one of code and codeFrom',
  })
  .meta({
    id: 'CreateRun',
    oneOf: [{ required: ['code'] }, { required: ['codeFrom'] }],
    examples: [{ code: 'print(6 * 7)', timeoutSeconds: 30 }],
  });

export const WaitQuery = z.strictObject({ wait: waitSeconds('the run ends') });

const { terminated, ...sessionFields } = replSessionFields;

export const CreateSession = z
  .strictObject({
    name: ObjectName.optional().describe('Name of the session, unique in its namespace. Left out, one is made.'),
    ...sessionFields,
  })
  .meta({ id: 'CreateSession', examples: [{ name: 'notebook', idleTimeoutSeconds: 600 }] });

export const SessionWaitQuery = z.strictObject({ wait: waitSeconds('the session is ready, or has ended') });

const PAGE_LIMIT = 100;
export const ListQuery = z.strictObject({
  limit: z
    .string()
    .regex(/^[1-9][0-9]{0,2}$/, `must be a whole number from 1 to ${PAGE_LIMIT}`)
    .refine((limit) => Number(limit) <= PAGE_LIMIT, `must be ${PAGE_LIMIT} or less`)
    .optional()
    .transform((limit) => Number(limit ?? PAGE_LIMIT))
    .meta({
      type: 'integer',
      minimum: 1,
      maximum: PAGE_LIMIT,
      description: `Entries a page, ${PAGE_LIMIT} at most and if left out.`,
    }),
  continue: z.string().min(1).max(4096).optional().describe('What the page before answered as continue.'),
});
export const RunList = z
  .strictObject({
    items: z.array(RunSummary),
    continue: z.string().optional().describe('Send it as continue to get the next page; absent on the last.'),
  })
  .meta({ id: 'RunList' });
export const SessionList = z
  .strictObject({
    items: z.array(SessionView),
    continue: z.string().optional().describe('Send it as continue to get the next page; absent on the last.'),
  })
  .meta({ id: 'SessionList' });

/** The other form of an answer that a client may ask for by Accept. */
export const EVENTS = { [SSE_TYPE]: { schema: z.custom<Readable>().meta({ type: 'string' }) } };
