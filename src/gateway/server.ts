/** The gateway: HTTP in front of CodeRuns. Builds the server and never listens. */

import { type FastifyInstance, fastify, LogController } from 'fastify';
import { answerClientError } from './client-error.ts';
import type { GatewayDeps } from './deps.ts';
import { randomBase32 } from './objects.ts';
import { installBodyParser } from './plugins/body.ts';
import { installErrors, sendProblem, toProblem } from './plugins/errors.ts';
import { Holds, installDrain } from './plugins/holds.ts';
import { installIdentity } from './plugins/identify.ts';
import { watchMethods } from './plugins/methods.ts';
import { installObservation } from './plugins/observe.ts';
import { installOpenApi, openApiRoute } from './plugins/openapi.ts';
import { installOriginCheck } from './plugins/origin.ts';
import { installValidation } from './plugins/validation.ts';
import { agentRoute } from './routes/agent.ts';
import { artifactRoutes } from './routes/artifacts.ts';
import { batchRoutes } from './routes/batches.ts';
import { executeRoute } from './routes/execute.ts';
import { executeBatchRoute } from './routes/execute-batch.ts';
import { logRoute } from './routes/logs.ts';
import { runRoutes } from './routes/runs.ts';

/** Ids of requests that are taken over from a client; others might forge lines of a log or swell them. */
const SAFE_REQUEST_ID = /^[A-Za-z0-9._-]{8,64}$/;

/** How often connections are looked over for requests that come too slowly, in milliseconds. */
const CONNECTION_CHECK_INTERVAL = 1000;

/** A path of an artifact with every byte encoded. */
const MAX_PARAM_LENGTH = 3 * 1024;

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
    requestTimeout: limits.requestTimeout,
    connectionTimeout: limits.connectionTimeout,
    keepAliveTimeout: limits.keepAliveTimeout,
    http: {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersTimeout,
      connectionsCheckingInterval: CONNECTION_CHECK_INTERVAL,
    },
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    exposeHeadRoutes: false,
    return503OnClosing: false,
    trustProxy: false,
    clientErrorHandler: (error, socket) => answerClientError(error, socket, newId()),
    frameworkErrors: (error, request, reply) => sendProblem(toProblem(error, request), request, reply),
  });
  app.server.maxConnections = limits.connections;

  const holds = new Holds(limits.heldRequests, metrics);
  installErrors(app);
  installObservation(app, metrics);
  installDrain(app, holds, clock, limits);
  installOriginCheck(app, config.allowedOrigins);
  installIdentity(app, deps.identify);
  installBodyParser(app);
  installValidation(app);
  installOpenApi(app);
  const addMethodAnswers = watchMethods(app);
  app.register(async (scope) => {
    executeRoute(scope, deps, holds);
    executeBatchRoute(scope, deps);
    runRoutes(scope, deps, holds);
    logRoute(scope, deps, holds);
    artifactRoutes(scope, deps, holds);
    batchRoutes(scope, deps, holds);
    agentRoute(scope, deps, holds);
    openApiRoute(scope);
  });
  app.register(async (scope) => addMethodAnswers(scope));
  return app;
}
