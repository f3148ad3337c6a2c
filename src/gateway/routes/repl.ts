/** /repl: sessions by an id of the client's choice, in few fields. */

import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { codeRunFields, codeRunResultFields } from '../../api/coderun.ts';
import { PackageRequirement } from '../../api/schema.ts';
import type { GatewayDeps } from '../deps.ts';
import { ExecuteResponse, executeResponse } from '../execute-result.ts';
import type { ExecutionView } from '../execution-view.ts';
import type { Holds } from '../plugins/holds.ts';
import type { Caller } from '../plugins/identify.ts';
import { PROBLEMS } from '../plugins/openapi.ts';
import { isProblem } from '../problem.ts';
import { executeInSession } from '../session-execution.ts';
import { InstallPackages, installPackages } from '../session-packages.ts';
import { SESSION_PROBLEMS } from '../session-problem.ts';
import { replSession } from '../session-repl.ts';
import { type ReadySession, readySession } from '../session-store.ts';

const sessionId = z
  .string()
  .min(1)
  .max(256)
  .describe('Any text: the same one is the same session, which is made on first use.');

const ReplExecuteRequest = z
  .strictObject({
    session_id: sessionId,
    code: codeRunFields.code.unwrap().describe('The program, in Python, 1 byte to 512 KiB.'),
    timeout: z.int().min(1).max(3600).default(60).describe('How long the program may run, in seconds.'),
  })
  .meta({ id: 'ReplExecuteRequest', examples: [{ session_id: 'chat 1', code: 'print(6 * 7)', timeout: 10 }] });

const sessionFields = {
  session: z.string().describe('Name of the session, for the paths below /v1/sessions.'),
  new_session: z.boolean().describe('True where the session was made for this call: it holds nothing of earlier ones.'),
};

const ReplExecuteResponse = z
  .strictObject({
    ...ExecuteResponse.shape,
    results: codeRunResultFields.results,
    error: codeRunResultFields.error,
    ...sessionFields,
  })
  .meta({ id: 'ReplExecuteResponse' });

const ReplInstallResponse = z
  .strictObject({ ...ExecuteResponse.shape, ...sessionFields })
  .meta({ id: 'ReplInstallResponse' });

export function replRoutes(root: FastifyInstance, deps: GatewayDeps, holds: Holds): void {
  const app = root.withTypeProvider<ZodTypeProvider>();

  app.post(
    '/repl/execute',
    {
      schema: {
        operationId: 'replExecute',
        summary: 'Run Python code in the session of this id',
        description: 'Where the session of this id has ended, another takes its place, and new_session says so.',
        body: ReplExecuteRequest,
        response: { 200: ReplExecuteResponse, ...PROBLEMS },
      },
      config: { problems: [...SESSION_PROBLEMS, 'SessionBusy'] },
    },
    async ({ body: { session_id, code, timeout }, caller }, reply) => {
      const { signal } = holds.take(reply);
      const execution = { code, language: 'python' as const, timeoutSeconds: timeout, detach: false };
      return inSession(caller, session_id, signal, async (ready) =>
        replResponse(await executeInSession(deps, ready, execution, { signal })),
      );
    },
  );

  app.post(
    '/repl/install',
    {
      schema: {
        operationId: 'replInstall',
        summary: 'Install a Python package into the session of this id',
        querystring: z.strictObject({
          session_id: sessionId,
          package: PackageRequirement.describe('The package, such as humanize==4.9.0.'),
        }),
        response: { 200: ReplInstallResponse, ...PROBLEMS },
      },
      config: { problems: [...SESSION_PROBLEMS, 'SessionBusy', 'Interrupted', 'PackagesNotOffered', 'DiskFull'] },
    },
    async ({ query, caller }, reply) => {
      const { signal } = holds.take(reply);
      return inSession(caller, query.session_id, signal, (ready) => install(deps, ready, query.package, signal));
    },
  );

  /** A session may end between its being found and its being used: then nothing was done, and another takes its place. */
  async function inSession<T>(
    caller: Caller,
    id: string,
    signal: AbortSignal,
    use: (ready: ReadySession) => Promise<T>,
  ) {
    for (let attempt = 1; ; attempt++) {
      const { session, isNew } = await replSession(deps, caller, id);
      try {
        const answer = await use(await readySession(deps, session, signal));
        return { ...answer, session: session.metadata.name, new_session: isNew };
      } catch (error) {
        if (!isProblem(error, 'SessionEnded') || isNew || attempt > 1) throw error;
      }
    }
  }
}

/** What Python's subprocess would say, had it run the code as a program. */
function replResponse(view: ExecutionView) {
  const { reason, message, stateKept: _, executionCount: _count, ...status } = view;
  const condition = {
    type: 'Succeeded',
    status: reason === 'Completed' ? ('True' as const) : ('False' as const),
    reason,
    message,
    observedGeneration: 0,
    lastTransitionTime: '',
  };
  const { results, error } = view;
  return {
    ...executeResponse({ status: { ...status, conditions: [condition] } }),
    ...(results.length > 0 && { results }),
    ...(error && { error }),
  };
}

async function install(deps: GatewayDeps, ready: ReadySession, requirement: string, signal: AbortSignal) {
  const { timeoutSeconds } = InstallPackages.parse({ packages: [requirement] });
  let stdout = '';
  const { packages } = await installPackages(
    deps,
    ready,
    { packages: [requirement], timeoutSeconds },
    {
      signal,
      tell: (event) => {
        if ('stdout' in event && stdout.length < OUTPUT_LIMIT) stdout += event.stdout;
      },
    },
  );
  const missing = packages.filter(({ version }) => version === null);
  const success = packages.length > 0 && missing.length === 0;
  const stderr = missing.map(({ name, message }) => `${name}: ${message}\n`).join('');
  return { success, stdout, stderr, returncode: success ? 0 : 1 };
}

const OUTPUT_LIMIT = 64 * 1024;
