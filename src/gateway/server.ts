/** The gateway: HTTP in front of CodeRuns. Builds the server and never listens. */

import { Server as TlsServer } from 'node:tls';
import { type FastifyInstance, fastify, LogController } from 'fastify';
import { answerClientError } from './client-error.ts';
import type { Certificate, GatewayDeps, GatewayLimits } from './deps.ts';
import { randomBase32 } from './objects.ts';
import { installBodyParser } from './plugins/body.ts';
import { installErrors, sendProblem, toProblem } from './plugins/errors.ts';
import { Holds, installDrain } from './plugins/holds.ts';
import { installIdentity } from './plugins/identify.ts';
import { watchMethods } from './plugins/methods.ts';
import { installObservation } from './plugins/observe.ts';
import { installOpenApi, openApiRoutes } from './plugins/openapi.ts';
import { installOriginCheck } from './plugins/origin.ts';
import { installPressure } from './plugins/pressure.ts';
import { createLimiters, failuresOf, installRates } from './plugins/rates.ts';
import { installValidation } from './plugins/validation.ts';
import { agentRoute } from './routes/agent.ts';
import { artifactRoutes } from './routes/artifacts.ts';
import { batchRoutes } from './routes/batches.ts';
import { eventRoute } from './routes/events.ts';
import { executeRoute } from './routes/execute.ts';
import { executeBatchRoute } from './routes/execute-batch.ts';
import { fileRoutes } from './routes/files.ts';
import { logRoute } from './routes/logs.ts';
import { packageRoute } from './routes/packages.ts';
import { replRoutes } from './routes/repl.ts';
import { runRoutes } from './routes/runs.ts';
import { sessionExecuteRoutes } from './routes/session-execute.ts';
import { sessionRoutes } from './routes/sessions.ts';

/** Ids of requests that are taken over from a client; others might forge lines of a log or swell them. */
const SAFE_REQUEST_ID = /^[A-Za-z0-9._-]{8,64}$/;

/** How often connections are looked over for requests that come too slowly, in milliseconds. */
const CONNECTION_CHECK_INTERVAL = 1000;

/** A path of an artifact with every byte encoded. */
const MAX_PARAM_LENGTH = 3 * 1024;

/** Options of Node's server, of whichever kind. */
function transport(certificate: Certificate | undefined, { headerBytes, headersTimeout }: GatewayLimits) {
  const http = {
    maxHeaderSize: headerBytes,
    headersTimeout,
    connectionsCheckingInterval: CONNECTION_CHECK_INTERVAL,
  };
  return certificate ? { https: { ...http, ...certificate, minVersion: 'TLSv1.2' as const } } : { http };
}

/** Connections from now on see the new certificate. */
export function renewCertificate({ server }: FastifyInstance, certificate: Certificate): void {
  if (server instanceof TlsServer) server.setSecureContext({ ...certificate, minVersion: 'TLSv1.2' });
}

export function buildGateway(deps: GatewayDeps): FastifyInstance {
  const { config, random, metrics, clock } = deps;
  const { limits } = config;
  const newId = () => randomBase32(random, 20);
  const app: FastifyInstance = fastify({
    loggerInstance: deps.logger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: ({ headers }) => {
      const given = headers['x-request-id'];
      return typeof given === 'string' && SAFE_REQUEST_ID.test(given) ? given : newId();
    },
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.uploadTimeout,
    connectionTimeout: limits.connectionTimeout,
    keepAliveTimeout: limits.keepAliveTimeout,
    ...transport(deps.certificate, limits),
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    exposeHeadRoutes: false,
    return503OnClosing: false,
    trustProxy: false,
    clientErrorHandler: (error, socket) => answerClientError(error, socket, newId()),
    frameworkErrors: (error, request, reply) => sendProblem(toProblem(error, request), request, reply),
  });
  app.server.maxConnections = limits.connections;

  const holds = new Holds(limits, metrics);
  installErrors(app);
  installObservation(app, metrics);
  installDrain(app, holds, clock, limits);
  installPressure(app, deps);
  installOriginCheck(app, config.allowedOrigins);
  const limiters = createLimiters(app, limits);
  installIdentity(app, deps.identify, failuresOf(limiters));
  installRates(app, limiters);
  installBodyParser(app, clock, limits);
  installValidation(app);
  installOpenApi(app);
  app.addHook('onClose', async () => deps.bridges.closeAll());
  const addMethodAnswers = watchMethods(app);
  app.register(async (scope) => {
    executeRoute(scope, deps, holds);
    executeBatchRoute(scope, deps);
    runRoutes(scope, deps, holds);
    logRoute(scope, deps, holds);
    eventRoute(scope, deps, holds);
    artifactRoutes(scope, deps, holds);
    batchRoutes(scope, deps, holds);
    sessionRoutes(scope, deps, holds);
    sessionExecuteRoutes(scope, deps, holds);
    fileRoutes(scope, deps, holds);
    packageRoute(scope, deps, holds);
    replRoutes(scope, deps, holds);
    agentRoute(scope, deps, holds);
    openApiRoutes(scope);
  });
  app.register(async (scope) => addMethodAnswers(scope));
  return app;
}
