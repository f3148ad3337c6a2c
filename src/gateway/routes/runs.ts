/** /v1/runs: creating runs, looking at them, cancelling them. */

import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { z } from 'zod';
import type { CodeRun, CodeRunSpec } from '../../api/coderun.ts';
import { allowedClass, checkClassOf } from '../auth/classes.ts';
import type { GatewayDeps } from '../deps.ts';
import { IdempotencyHeaders, namingOf } from '../idempotency.ts';
import type { Holds } from '../plugins/holds.ts';
import type { Caller } from '../plugins/identify.ts';
import { PROBLEMS } from '../plugins/openapi.ts';
import { isProblem, Problem } from '../problem.ts';
import { listRuns } from '../run-list.ts';
import { cancelRun, createRun, findRun } from '../run-store.ts';
import { isEnded, RunView, runView } from '../run-view.ts';
import { findSession } from '../session-store.ts';
import { wantsEvents } from '../sse.ts';
import { waitFor } from '../wait.ts';
import { cancelOnDisconnect, EVENT_CONTENT, sendRunEvents } from './events.ts';
import { preferredWait } from './prefer.ts';
import { CreateRun, ListQuery, RunList, RunPath, WaitQuery } from './schemas.ts';

const CreateQuery = WaitQuery.extend({ cancelOnDisconnect });

async function runSpec(
  deps: GatewayDeps,
  caller: Caller,
  fields: Omit<z.output<typeof CreateRun>, 'name'>,
): Promise<CodeRunSpec> {
  const { className, sessionRef } = fields;
  // A run within a session has the class of the session.
  const given = sessionRef && className === undefined;
  if (given && caller.classes) await checkSession(deps, caller, sessionRef.name);
  const allowed = given ? undefined : allowedClass(caller, className, 'className');
  return { ...fields, ...(allowed !== undefined && { className: allowed }), cancelled: false };
}

/** One that isn't there is for the controller to tell. */
async function checkSession(deps: GatewayDeps, caller: Caller, name: string): Promise<void> {
  try {
    checkClassOf(caller, await findSession(deps, caller, name));
  } catch (error) {
    if (!isProblem(error, 'SessionNotFound')) throw error;
  }
}

export function runRoutes(root: FastifyInstance, deps: GatewayDeps, holds: Holds): void {
  const app = root.withTypeProvider<ZodTypeProvider>();

  app.post(
    '/v1/runs',
    {
      schema: {
        operationId: 'createRun',
        summary: 'Run code',
        description:
          'With wait, or the header "Prefer: wait=N", the answer is held until the run ends; the header is cut to 60 seconds. With "Accept: text/event-stream" the answer is the events of the run, as GET /v1/runs/{name}/events has them.',
        headers: IdempotencyHeaders,
        body: CreateRun,
        querystring: CreateQuery,
        response: {
          201: {
            description: 'The run.',
            content: { 'application/json': { schema: RunView }, ...EVENT_CONTENT },
          },
          ...PROBLEMS,
        },
      },
    },
    async (request, reply) => {
      const { body, query, caller, headers } = request;
      const { name, ...fields } = body;
      const preferred = query.wait ?? preferredWait(request.raw.headers['prefer']);
      const streams = wantsEvents(request.raw.headers.accept);
      const hold = preferred || streams ? holds.take(reply) : undefined;
      const naming = namingOf({ caller, headers, body }, 'run', name);
      const run = await createRun(deps, caller, await runSpec(deps, caller, fields), naming);
      reply.code(201).header('location', `/v1/runs/${run.metadata.name}`);
      if (streams && hold) return sendRunEvents(deps, run, { hold, cancels: query.cancelOnDisconnect }, reply);
      if (query.wait === undefined && preferred !== undefined) reply.header('preference-applied', `wait=${preferred}`);
      return runView(await ended(run, preferred, hold?.signal));
    },
  );

  app.get(
    '/v1/runs',
    {
      schema: {
        operationId: 'listRuns',
        summary: 'List runs',
        querystring: ListQuery,
        response: { 200: RunList, ...PROBLEMS },
      },
      config: { problems: ['PageExpired'] },
    },
    async ({ query, caller }) => listRuns(deps.kube, caller, query),
  );

  app.get(
    '/v1/runs/:name',
    {
      schema: {
        operationId: 'getRun',
        summary: 'Get a run',
        params: RunPath,
        querystring: WaitQuery,
        response: { 200: RunView, ...PROBLEMS },
      },
    },
    async ({ params, query, caller }, reply) => {
      const hold = query.wait ? holds.take(reply) : undefined;
      return runView(await ended(await findRun(deps, caller, params.name), query.wait, hold?.signal));
    },
  );

  app.delete(
    '/v1/runs/:name',
    {
      schema: {
        operationId: 'cancelRun',
        summary: 'Cancel a run',
        description: 'Asks for its end and answers the run as it stands; a run that has ended stays as it is.',
        params: RunPath,
        response: { 200: RunView, ...PROBLEMS },
      },
    },
    async ({ params, caller }) => runView(await cancelRun(deps.kube, await findRun(deps, caller, params.name))),
  );

  /** The run at its end, or as it stands after `seconds`. */
  async function ended(run: CodeRun, seconds: number | undefined, signal: AbortSignal | undefined): Promise<CodeRun> {
    if (!seconds || !signal) return run;
    const waited = await waitFor(deps, run, { wanted: isEnded, milliseconds: seconds * 1000, signal });
    if (waited.kind === 'deleted') throw new Problem('RunDeleted', 'The run was deleted before it ended.');
    return waited.run;
  }
}
