/** Names of what belongs to an object: the same object always gives the same name, so that creating twice is harmless. */

import { createHash } from 'node:crypto';
import type { ObjectMeta } from './object.ts';

const MAX_NAME = 63;
const MAX_LABEL = 63;

/** `text` within `limit` characters: longer ones are cut and told apart by a hash of the whole. */
export function shorten(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 8);
  return `${text.slice(0, limit - hash.length - 1).replace(/[-._]+$/, '')}-${hash}`;
}

/** The name of the sandbox pod of a CodeRun: its own name and the beginning of its UID. A DNS-1123 label. */
export const podName = ({ name, uid }: Pick<ObjectMeta, 'name' | 'uid'>): string => suffixed(name, uid);

/** The name of the CodeRun of an item of a CodeBatch. A DNS-1123 label. */
export const itemRunName = ({ name, uid }: Pick<ObjectMeta, 'name' | 'uid'>, item: string): string =>
  suffixed(`${name}-${item}`, `${uid}/${item}`);

function suffixed(name: string, identity: string): string {
  const suffix = createHash('sha256').update(identity).digest('hex').slice(0, 8);
  const stem = shorten(name.replaceAll('.', '-'), MAX_NAME - suffix.length - 1);
  return `${stem}-${suffix}`;
}

/** A name as the value of a label. */
export const labelValue = (name: string): string => shorten(name, MAX_LABEL);
