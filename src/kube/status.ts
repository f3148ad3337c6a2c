/** What the API server says when it refuses: its Status object, turned into a `KubeError` that is safe to log. */

import { KubeError } from './error.ts';

/** The part of `metav1.Status` that is read here. */
export interface Status {
  status?: string;
  code?: number;
  reason?: string;
  message?: string;
  details?: { retryAfterSeconds?: number };
}

const MESSAGE_LIMIT = 1024;
const REFUSAL_LIMIT_BYTES = 256 * 1024;

/** The Status that `text` holds, or undefined: whatever stands between us and the API server may have answered. */
export function parseStatus(text: string): Status | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isStatus(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The error channel of a stream leaves the kind out, so it is not asked for. */
export const isStatus = (value: unknown): value is Status =>
  typeof value === 'object' && value !== null && 'status' in value && /^(Success|Failure)$/.test(String(value.status));

type Headers = Record<string, string | string[] | undefined>;

/** The error for an HTTP answer that is not the one hoped for. Reads no more of its body than an error needs. */
export async function readRefusal(code: number, headers: Headers, body: AsyncIterable<Uint8Array>): Promise<KubeError> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > REFUSAL_LIMIT_BYTES) break;
  }
  const status = parseStatus(Buffer.concat(chunks).toString('utf8')) ?? {};
  return errorOf(status, code, seconds(headers['retry-after']));
}

/** The error that `status` speaks of; `code` is taken where it has none of its own. */
export function errorOf(status: Status, code: number, retryAfterMilliseconds?: number): KubeError {
  const delay = retryAfterMilliseconds ?? seconds(status.details?.retryAfterSeconds);
  const message = safeMessage(status.message ?? '') || `the API server answered with code ${status.code ?? code}`;
  return new KubeError(status.code ?? code, status.reason ?? '', message, {
    ...(delay !== undefined && { retryAfterMilliseconds: delay }),
  });
}

/** Seconds as milliseconds. A Retry-After can be a date as well, but the API server's never is. */
function seconds(value: unknown): number | undefined {
  const count = Number(value ?? Number.NaN);
  return Number.isFinite(count) && count >= 0 ? count * 1000 : undefined;
}

/** What a validation error quotes: text, a number or a word, or a whole object, after which nothing is certain. */
const QUOTED_VALUE =
  /\b((?:Invalid|Unsupported|Duplicate) value: )(?:"(?:[^"\\]|\\.)*(?:"|$)(?:: )?|(?:-?[\d.]+|null|true|false)(?:: |(?=, |\]|$))|[\w.*&]*[{[].*)/g;

/**
 * The first line of `message`, bounded, without the values that a validation error quotes: they are what a user sent.
 * Later lines are left out, since the API server puts a diff of the whole object there.
 */
export function safeMessage(message: string): string {
  const [line = ''] = message.split('\n', 1);
  return line.replaceAll(QUOTED_VALUE, '$1').slice(0, MESSAGE_LIMIT);
}
