/** Structured logs, one JSON object a line. What a program said, its code and its environment never get here. */

import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

/** Where a field could hold somebody's secret or somebody's code, it is left out whatever the caller thought. */
const REDACTED = ['code', 'stdin', 'stdout', 'stderr', 'env', 'args', 'token', 'authorization', 'headers'];

export const createLogger = (role: string, level: string, destination: DestinationStream = process.stdout): Logger =>
  pino(
    {
      level,
      base: { role },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: REDACTED.flatMap((field) => [field, `*.${field}`]), remove: true },
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: errorFields },
    },
    destination,
  );

/** Name, message and stack of an error; never the objects that hang on it, which may hold a request. */
function errorFields(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error).slice(0, 1024) };
  const code = 'code' in error ? error.code : undefined;
  // The API server quotes the value that it found invalid: a program, or what one printed.
  if (code === INVALID) return { name: error.name, code, message: 'the API server found the object invalid' };
  return { name: error.name, code, message: error.message.slice(0, 1024), stack: error.stack?.slice(0, 4096) };
}

const INVALID = 422;
