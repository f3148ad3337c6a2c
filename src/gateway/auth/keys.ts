/** API keys: how one is made, what is kept of it, and how one that somebody shows is checked. */

import { createHash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { SYSTEM_NAMESPACE } from '../../api/group.ts';
import { ObjectName } from '../../api/schema.ts';
import type { RandomBytes } from '../deps.ts';

/** The Secret that holds the entries of all keys, each under its id. */
export const API_KEYS_SECRET = { namespace: SYSTEM_NAMESPACE, name: 'coderun-api-keys' } as const;

const ID_BYTES = 8;
const SALT_BYTES = 16;
/** With 256 random bits nothing can be guessed, however fast: so the hash may be, and checking one costs nothing. */
const SECRET_BYTES = 32;

const KeyId = z.string().regex(/^[0-9a-f]{16}$/, 'must be 16 hexadecimal digits');

const base64url = (bytes: number) =>
  z
    .base64url()
    .refine((text) => Buffer.from(text, 'base64url').length === bytes, `must be ${bytes} bytes in base64url`);

/** What is kept of a key: enough to know it again, and what it may do. */
export const ApiKeyEntry = z.strictObject({
  id: KeyId,
  salt: base64url(SALT_BYTES),
  hash: base64url(SECRET_BYTES).describe('SHA-256 of the salt and the secret.'),
  namespace: ObjectName.describe('Where everything made with the key is; nothing else exists for it.'),
  classes: z
    .array(ObjectName)
    .min(1)
    .max(64)
    .optional()
    .describe('SandboxClasses that it may use; the first is that of runs that name none. Absent means every class.'),
  requestsPerMinute: z.int().min(1).max(1_000_000).optional(),
  concurrentRuns: z.int().min(1).max(100_000).optional().describe('Runs and sessions that may be unfinished at once.'),
  expires: z.iso.datetime().optional().describe('When it ends, in UTC.'),
});
export type ApiKeyEntry = z.output<typeof ApiKeyEntry>;

export type ApiKeyFields = Omit<ApiKeyEntry, 'id' | 'salt' | 'hash'>;

/** A new key: `secretText` is for its owner and shown once; `entry` is what the Secret keeps. Throws ZodError for wrong fields. */
export function newKey(random: RandomBytes, fields: ApiKeyFields): { secretText: string; entry: ApiKeyEntry } {
  const id = Buffer.from(random(ID_BYTES)).toString('hex');
  const salt = Buffer.from(random(SALT_BYTES)).toString('base64url');
  const secret = Buffer.from(random(SECRET_BYTES)).toString('base64url');
  const entry = ApiKeyEntry.parse({ id, salt, hash: hashOf(salt, secret).toString('base64url'), ...fields });
  return { secretText: `crk_${id}_${secret}`, entry };
}

export interface ShownKey {
  id: string;
  secret: string;
}

export const isKeyText = (text: string): boolean => text.startsWith('crk_');

/** The parts of a key as its owner holds it; undefined where the text is none. */
export function parseKey(text: string): ShownKey | undefined {
  const [, id, secret] = /^crk_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/.exec(text) ?? [];
  return id !== undefined && secret !== undefined ? { id, secret } : undefined;
}

/** Compared with where there is no entry, so that the time says nothing about which ids there are. */
const NOBODY = { salt: '', hash: Buffer.alloc(SECRET_BYTES).toString('base64url') };

/** The entry, where the secret is its own and it has not expired. */
export function checkKey(entry: ApiKeyEntry | undefined, { secret }: ShownKey, now: Date): ApiKeyEntry | undefined {
  const { salt, hash } = entry ?? NOBODY;
  const same = timingSafeEqual(hashOf(salt, secret), Buffer.from(hash, 'base64url'));
  if (!entry || !same) return undefined;
  return entry.expires !== undefined && now.getTime() >= Date.parse(entry.expires) ? undefined : entry;
}

const hashOf = (salt: string, secret: string): Buffer => createHash('sha256').update(`${salt}:${secret}`).digest();

/** The entry as the data of the Secret has it. */
export const secretData = (entry: ApiKeyEntry): Record<string, string> => ({
  [entry.id]: Buffer.from(JSON.stringify(entry)).toString('base64'),
});

export interface ParsedKeys {
  entries: Map<string, ApiKeyEntry>;
  /** Names in the Secret of what is no entry; they let nobody in. */
  invalid: string[];
}

/** All entries of the Secret's data; one that is wrong doesn't spoil the others. */
export function parseSecret(data: Record<string, string> = {}): ParsedKeys {
  const parsed: ParsedKeys = { entries: new Map(), invalid: [] };
  for (const [name, value] of Object.entries(data)) {
    const entry = parseEntry(value);
    if (entry?.id === name) parsed.entries.set(name, entry);
    else parsed.invalid.push(name);
  }
  return parsed;
}

function parseEntry(value: string): ApiKeyEntry | undefined {
  try {
    return ApiKeyEntry.safeParse(JSON.parse(Buffer.from(value, 'base64').toString())).data;
  } catch {
    return undefined;
  }
}
