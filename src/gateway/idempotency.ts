/** The header Idempotency-Key: a request that creates something, sent again with its key, gives what the first one created. */

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { GROUP } from '../api/group.ts';
import type { ObjectMeta } from '../api/object.ts';
import type { Caller } from './plugins/identify.ts';
import { fieldError, Problem } from './problem.ts';

/** On an object that a request with a key has created: what the request was. */
export const ANNOTATION_REQUEST = `${GROUP}/request-hash`;

const NAME_BYTES = 13;

const IdempotencyKey = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters')
  .describe(
    'Sent again with the same key and body, the request gives what the first one created, as long as that is kept, from every replica; with another body 422. It names the object: leave out name.',
  );

/** For the schema of a route; other headers are none of its business. */
export const IdempotencyHeaders = z.looseObject({ 'idempotency-key': IdempotencyKey.optional() });

/** The name of an object, or what a name that is made for it begins with; with a key, the name that the key makes. */
export type Naming = { name: string } | { prefix: string } | Replayable;

export interface Replayable {
  name: string;
  /** Hash of the request that the name was made for. */
  request: string;
}

interface NamingRequest {
  caller: Pick<Caller, 'namespace'>;
  headers: { 'idempotency-key'?: string | string[] | undefined };
  /** As it was validated. */
  body: unknown;
}

/**
 * How the object that the request creates is to be called. The name that a key makes is the same in every replica and
 * after every restart: whoever creates it twice meets the first. `name` is the one that the body asks for.
 */
export function namingOf({ caller, headers, body }: NamingRequest, prefix: string, name?: string): Naming {
  const key = headers['idempotency-key'];
  if (typeof key !== 'string') return name === undefined ? { prefix } : { name };
  if (name !== undefined) {
    const errors = [fieldError('body', 'name', 'can not be sent with Idempotency-Key')];
    throw new Problem('InvalidRequest', 'name: the header Idempotency-Key names the object; leave out one of them.', {
      errors,
    });
  }
  const hash = createHash('sha256')
    .update(JSON.stringify([caller.namespace, prefix, key]))
    .digest();
  return { name: `${prefix}-${hash.toString('hex', 0, NAME_BYTES)}`, request: requestHash(body) };
}

export const isReplayable = (naming: Naming): naming is Replayable => 'request' in naming;

/** Throws a `Problem` where `metadata` is of an object that another request has created under the key. */
export function checkReplay({ annotations }: Pick<ObjectMeta, 'annotations'>, { request }: Replayable): void {
  if (annotations?.[ANNOTATION_REQUEST] === request) return;
  const errors = [fieldError('header', 'idempotency-key', 'was sent with another body before')];
  throw new Problem('IdempotencyKeyReused', 'This Idempotency-Key was sent with another body; choose a new key.', {
    errors,
  });
}

/** Validation has put the keys in order and filled in the defaults. */
const requestHash = (body: unknown): string => createHash('sha256').update(JSON.stringify(body)).digest('base64url');
