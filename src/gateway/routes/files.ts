/** /v1/sessions/{name}/files: the files of a session, in and out as streams. */

import type { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { GatewayDeps } from '../deps.ts';
import type { Holds } from '../plugins/holds.ts';
import { PROBLEMS } from '../plugins/openapi.ts';
import { Problem } from '../problem.ts';
import { readBody } from '../request-body.ts';
import { download, FILE_LIMIT_BYTES, FileList, listFiles, removeFile, tooLarge, upload } from '../session-files.ts';
import { FILE_PROBLEMS, SESSION_PROBLEMS } from '../session-problem.ts';
import { findReadySession } from '../session-store.ts';
import { streamOf } from '../stream.ts';
import { SessionPath } from './schemas.ts';

const path = z
  .string()
  .max(4096)
  .refine((text) => !text.includes('\0'), 'must not hold the character NUL')
  .describe(
    'Path below the working directory, of names as they are listed: bytes that are not UTF-8 are written as %XX, and ' +
      'so is the percent sign; in the URL all of that is encoded once more.',
  );
const FilePath = z.strictObject({ path: path.min(1) });

const BYTES = 'application/octet-stream';
const content = z.custom<Readable>().meta({ type: 'string', format: 'binary' });
const DONE = z.null().describe('It is done.');

export function fileRoutes(root: FastifyInstance, deps: GatewayDeps, holds: Holds): void {
  const app = root.withTypeProvider<ZodTypeProvider>();

  app.get(
    '/v1/sessions/:name/files',
    {
      schema: {
        operationId: 'listFiles',
        summary: 'List a folder of a session',
        params: SessionPath,
        querystring: z.strictObject({
          path: path.default('').describe('Path of the folder; the working directory if left out.'),
        }),
        response: { 200: FileList, ...PROBLEMS },
      },
      config: { problems: [...SESSION_PROBLEMS, ...FILE_PROBLEMS, 'NotAFolder'] },
    },
    async ({ params, query, caller }, reply) => {
      const { signal } = holds.take(reply);
      return listFiles(deps, await findReadySession(deps, caller, params.name, signal), query.path, signal);
    },
  );

  app.get(
    '/v1/sessions/:name/files/content',
    {
      schema: {
        operationId: 'readFile',
        summary: 'Download a file of a session',
        params: SessionPath,
        querystring: FilePath,
        response: { 200: { description: 'The file.', content: { [BYTES]: { schema: content } } }, ...PROBLEMS },
      },
      config: {
        problems: [...SESSION_PROBLEMS, ...FILE_PROBLEMS, 'NotAFile', 'NotAFolder', 'FileTooLarge', 'SessionBusy'],
      },
    },
    async ({ params, query, caller }, reply) => {
      const hold = holds.take(reply);
      const ready = await findReadySession(deps, caller, params.name, hold.signal);
      const file = await download(deps, ready, query.path, hold.signal);
      // Whatever a program made is never shown as a page of the gateway's own origin.
      reply.type(BYTES).headers({ 'content-disposition': 'attachment', 'content-length': file.bytes });
      return reply.send(streamOf(file.content, hold, deps));
    },
  );

  app.delete(
    '/v1/sessions/:name/files/content',
    {
      schema: {
        operationId: 'removeFile',
        summary: 'Remove a file, a link, or a folder with all that is in it',
        params: SessionPath,
        querystring: FilePath,
        response: { 204: DONE, ...PROBLEMS },
      },
      config: { problems: [...SESSION_PROBLEMS, ...FILE_PROBLEMS, 'NotAFolder'] },
    },
    async ({ params, query, caller }, reply) => {
      const { signal } = holds.take(reply);
      await removeFile(deps, await findReadySession(deps, caller, params.name, signal), query.path, signal);
      return reply.code(204).send(null);
    },
  );

  root.register(async (scope) => uploadRoute(scope, deps, holds));
}

/** In a scope of its own, where every body is taken as the bytes that it is. */
function uploadRoute(root: FastifyInstance, deps: GatewayDeps, holds: Holds): void {
  root.removeAllContentTypeParsers();
  root.addContentTypeParser('*', ({ headers }, body, done) => {
    if (headers['content-encoding'] === undefined) done(null, body);
    else done(new Problem('UnsupportedMediaType', 'Send the file as it is, without Content-Encoding.'));
  });
  root.withTypeProvider<ZodTypeProvider>().put(
    '/v1/sessions/:name/files/content',
    {
      config: {
        streamsBody: true,
        problems: [
          ...[...SESSION_PROBLEMS, ...FILE_PROBLEMS],
          ...([
            'NotAFile',
            'NotAFolder',
            'FileExists',
            'FileTooLarge',
            'DiskFull',
            'SessionBusy',
            'UnsupportedMediaType',
          ] as const),
        ],
      },
      schema: {
        operationId: 'writeFile',
        summary: 'Upload a file into a session',
        description: `Folders on the way are made. The file is there whole, or not at all; it may have ${FILE_LIMIT_BYTES} bytes.`,
        consumes: [BYTES],
        params: SessionPath,
        querystring: FilePath,
        body: content.nullish(),
        response: { 204: DONE, ...PROBLEMS },
      },
    },
    async ({ params, query, caller, headers, body }, reply) => {
      const hold = holds.take(reply);
      const length = headers['content-length'];
      const bytes = length === undefined ? undefined : Number(length);
      if (bytes !== undefined && bytes > FILE_LIMIT_BYTES) throw tooLarge();
      const ready = await findReadySession(deps, caller, params.name, hold.signal);
      const pieces = readBody(body, { deps, hold, limit: FILE_LIMIT_BYTES, tooLarge });
      const file = { path: query.path, ...(bytes !== undefined && { bytes }) };
      await upload(deps, ready, file, pieces, hold.signal);
      return reply.code(204).send(null);
    },
  );
}
