/** Takes bodies as JSON in UTF-8 and nothing else. */

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { parseJson } from '../json.ts';
import { Problem } from '../problem.ts';

export function installBodyParser(app: FastifyInstance): void {
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
