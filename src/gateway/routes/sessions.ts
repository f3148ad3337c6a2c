/** /v1/sessions: creating sessions, looking at them, ending them. */

import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { ReplSession } from '../../api/replsession.ts';
import { allowedClass } from '../auth/classes.ts';
import type { GatewayDeps } from '../deps.ts';
import { IdempotencyHeaders, namingOf } from '../idempotency.ts';
import type { Holds } from '../plugins/holds.ts';
import { PROBLEMS } from '../plugins/openapi.ts';
import { listSessions } from '../run-list.ts';
import { createSession, findSession, settledSession, terminateSession } from '../session-store.ts';
import { SessionView, sessionView } from '../session-view.ts';
import { CreateSession, ListQuery, SessionList, SessionPath, SessionWaitQuery } from './schemas.ts';

export function sessionRoutes(root: FastifyInstance, deps: GatewayDeps, holds: Holds): void {
  const app = root.withTypeProvider<ZodTypeProvider>();

  app.post(
    '/v1/sessions',
    {
      schema: {
        operationId: 'createSession',
        summary: 'Create a session',
        description: 'With wait, the answer is held until the session is ready; an execution waits for that by itself.',
        headers: IdempotencyHeaders,
        body: CreateSession,
        querystring: SessionWaitQuery,
        response: { 201: SessionView, ...PROBLEMS },
      },
    },
    async ({ body, query, caller, headers }, reply) => {
      const { name, ...fields } = body;
      const hold = query.wait ? holds.take(reply) : undefined;
      const naming = namingOf({ caller, headers, body }, 'session', name);
      const className = allowedClass(caller, fields.className, 'className');
      const spec = { ...fields, ...(className !== undefined && { className }), terminated: false };
      const session = await createSession(deps, caller, spec, naming);
      reply.code(201).header('location', `/v1/sessions/${session.metadata.name}`);
      return sessionView(await settled(session, query.wait, hold?.signal));
    },
  );

  app.get(
    '/v1/sessions',
    {
      schema: {
        operationId: 'listSessions',
        summary: 'List sessions',
        querystring: ListQuery,
        response: { 200: SessionList, ...PROBLEMS },
      },
      config: { problems: ['PageExpired'] },
    },
    async ({ query, caller }) => listSessions(deps.kube, caller, query),
  );

  app.get(
    '/v1/sessions/:name',
    {
      schema: {
        operationId: 'getSession',
        summary: 'Get a session',
        params: SessionPath,
        querystring: SessionWaitQuery,
        response: { 200: SessionView, ...PROBLEMS },
      },
    },
    async ({ params, query, caller }, reply) => {
      const hold = query.wait ? holds.take(reply) : undefined;
      const session = await findSession(deps, caller, params.name);
      return sessionView(await settled(session, query.wait, hold?.signal));
    },
  );

  app.delete(
    '/v1/sessions/:name',
    {
      schema: {
        operationId: 'terminateSession',
        summary: 'End a session',
        description: 'Asks for its end and answers the session as it stands; one that has ended stays as it is.',
        params: SessionPath,
        response: { 200: SessionView, ...PROBLEMS },
      },
    },
    async ({ params, caller }) =>
      sessionView(await terminateSession(deps.kube, await findSession(deps, caller, params.name))),
  );

  /** The session once it is ready or has ended, or as it stands after `seconds`. */
  const settled = async (session: ReplSession, seconds: number | undefined, signal: AbortSignal | undefined) =>
    seconds && signal ? settledSession(deps, session, { milliseconds: seconds * 1000, signal }) : session;
}
