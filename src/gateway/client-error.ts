/** Answers what is not HTTP, or comes too slowly, before there is a request: as a problem, and then the connection ends. */

import type { Socket } from 'node:net';
import { PROBLEM_TYPE } from './plugins/errors.ts';
import { Problem } from './problem.ts';

export function answerClientError(error: { code: string }, socket: Socket, requestId: string): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const problem = clientProblem(error.code);
  const body = problem.body(requestId);
  const text = JSON.stringify(body);
  const head = [
    `HTTP/1.1 ${problem.status} ${body.title}`,
    `content-type: ${PROBLEM_TYPE}`,
    `content-length: ${Buffer.byteLength(text)}`,
    'connection: close',
  ];
  if (socket.writable) socket.write(`${head.join('\r\n')}\r\n\r\n${text}`);
  socket.destroySoon();
}

function clientProblem(code: string): Problem {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new Problem('RequestTimeout', 'The request came too slowly; send it again, faster.');
  if (code === 'HPE_HEADER_OVERFLOW')
    return new Problem('HeadersTooLarge', 'The URL and headers are larger than the gateway takes.');
  return new Problem('MalformedRequest', 'This is not a request in HTTP/1.1.');
}
