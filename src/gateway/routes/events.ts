/** GET /v1/runs/{name}/events: a run as it goes, as Server-Sent Events. */

import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { CodeRun } from '../../api/coderun.ts';
import type { GatewayDeps } from '../deps.ts';
import type { Holds } from '../plugins/holds.ts';
import { PROBLEMS } from '../plugins/openapi.ts';
import { fieldError, Problem } from '../problem.ts';
import {
  BEGINNING,
  cancellingEvents,
  POSITION_PATTERN,
  type Position,
  parsePosition,
  runEvents,
} from '../run-events.ts';
import { findRun } from '../run-store.ts';
import { SSE_TYPE, sendEvents } from '../sse.ts';
import { RunPath } from './schemas.ts';

export const cancelOnDisconnect = z
  .string()
  .regex(/^(true|false)$/, 'must be true or false')
  .optional()
  .transform((text) => text === 'true')
  .meta({
    type: 'boolean',
    description:
      'True cancels the run where the client leaves before its end; false if left out. For streams of events.',
  });

const EventsQuery = z.strictObject({ cancelOnDisconnect });

const EventsHeaders = z.looseObject({
  'last-event-id': z
    .string()
    .optional()
    .meta({ pattern: POSITION_PATTERN, description: 'Id of the last event that was received: goes on after it.' }),
});

/** In the responses of routes that answer with the events of a run. */
export const EVENT_CONTENT = {
  [SSE_TYPE]: {
    // As the tools have it that read streams: the schema of each event.
    schema: z.custom<FastifyReply>().meta({
      type: 'object',
      required: ['id', 'event', 'data'],
      properties: {
        id: { type: 'string', description: 'For the header Last-Event-ID: goes on after this event.' },
        event: { type: 'string', enum: ['queued', 'started', 'stdout', 'stderr', 'result', 'error', 'finished'] },
        data: { type: 'string', contentMediaType: 'application/json' },
      },
      description:
        'queued, started and finished hold the run; stdout and stderr {"text"}; result {"mime"}; error {"name", "value", "traceback"}. Comments keep a quiet stream alive. Each event has an id for Last-Event-ID.',
    }),
  },
};

export function eventRoute(app: FastifyInstance, deps: GatewayDeps, holds: Holds): void {
  app.withTypeProvider<ZodTypeProvider>().get(
    '/v1/runs/:name/events',
    {
      schema: {
        operationId: 'getRunEvents',
        summary: 'Follow a run',
        description:
          'Server-Sent Events until the run has ended: queued, started, stdout, stderr, result, error, finished. Who has had the last of them and asks again is answered 204, as EventSource wants it.',
        params: RunPath,
        querystring: EventsQuery,
        headers: EventsHeaders,
        response: {
          200: { description: 'The events.', content: EVENT_CONTENT },
          204: z.null().describe('All events were received.'),
          ...PROBLEMS,
        },
      },
    },
    async ({ params, query, headers, caller }, reply) => {
      const hold = holds.take(reply);
      const from = positionOf(headers['last-event-id']);
      const run = await findRun(deps, caller, params.name);
      if (from.stage === 'finished') return reply.code(204).send(null);
      return sendRunEvents(deps, run, { from, hold, cancels: query.cancelOnDisconnect }, reply);
    },
  );
}

interface RunStream {
  from?: Position;
  hold: AbortController;
  /** Whether the run is cancelled where the client leaves. */
  cancels: boolean;
}

export function sendRunEvents(
  deps: GatewayDeps,
  run: CodeRun,
  { from = BEGINNING, hold, cancels }: RunStream,
  reply: FastifyReply,
): FastifyReply {
  const events = runEvents(deps, run, { from, signal: hold.signal });
  return sendEvents(reply, cancels ? cancellingEvents(deps, run, events, hold.signal) : events, hold, deps);
}

function positionOf(id: string | undefined): Position {
  if (id === undefined || id === '') return BEGINNING;
  const position = parsePosition(id);
  if (position) return position;
  const errors = [fieldError('header', 'last-event-id', 'is not the id of an event of a run')];
  throw new Problem('InvalidRequest', 'last-event-id: send the id of the last event that you received, or none.', {
    errors,
  });
}
