/** Takes bodies as JSON in UTF-8 and nothing else, and no slower than they may come. */

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { answerClientError } from '../client-error.ts';
import type { Clock, GatewayLimits } from '../deps.ts';
import { parseJson } from '../json.ts';
import { Problem } from '../problem.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route reads the body piece by piece, for as long as the server lets a request take. */
    streamsBody?: boolean;
  }
}

export function installBodyParser(app: FastifyInstance, clock: Clock, { requestTimeout }: GatewayLimits): void {
  app.addHook('preParsing', async ({ raw, headers, routeOptions, id }, reply, payload) => {
    const hasBody = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
    if (!hasBody || routeOptions.config.streamsBody) return;
    const slow = { code: 'ERR_HTTP_REQUEST_TIMEOUT' };
    const timer = clock.after(requestTimeout, () => answerClientError(slow, raw.socket, id));
    const stop = (): void => timer[Symbol.dispose]();
    payload.once('end', stop);
    reply.raw.once('close', stop);
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    try {
      checkEncoding(request);
      done(null, parseJson(body));
    } catch (error) {
      done(error as Error);
    }
  });
}

function checkEncoding({ headers }: FastifyRequest): void {
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(headers['content-type'] ?? '')?.[1];
  if (charset !== undefined && charset.toLowerCase() !== 'utf-8')
    throw new Problem('UnsupportedMediaType', 'Send the body in UTF-8; JSON has no other charset.');
  if (headers['content-encoding'] !== undefined)
    throw new Problem('UnsupportedMediaType', 'Send the body as it is, without Content-Encoding.');
}
