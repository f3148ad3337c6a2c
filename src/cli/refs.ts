/** How an object is named on the command line: `NAME`, `run/NAME`, `batch/NAME` or `session/NAME`. */

import { usageError } from './errors.ts';

export type RefKind = 'run' | 'batch' | 'session';

export interface Ref {
  kind: RefKind;
  name: string;
}

const KINDS: Record<string, RefKind> = {
  run: 'run',
  runs: 'run',
  coderun: 'run',
  batch: 'batch',
  batches: 'batch',
  codebatch: 'batch',
  session: 'session',
  sessions: 'session',
  replsession: 'session',
};

/** A name alone is a run's. Only the kinds that the command can take are offered. */
export function parseRef(text: string, offered: readonly RefKind[] = ['run', 'batch', 'session']): Ref {
  const [first = '', second, ...more] = text.split('/');
  const ref = second === undefined ? { kind: 'run' as const, name: first } : { kind: KINDS[first], name: second };
  const words = offered.map((kind) => `${kind}/NAME`).join(', ');
  if (more.length > 0 || ref.kind === undefined || !offered.includes(ref.kind))
    throw usageError(`NAME: ${JSON.stringify(text)} is not one of NAME, ${words}`);
  if (!/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(ref.name))
    throw usageError(`NAME: ${JSON.stringify(ref.name)} is not a name: lower-case letters, digits, "-" and "."`);
  return { kind: ref.kind, name: ref.name };
}

/** The operands, of which there must be at least one. */
export function parseRefs(operands: readonly string[], offered?: readonly RefKind[]): Ref[] {
  if (operands.length === 0) throw usageError('NAME: no name is given; coderun runs lists them');
  return operands.map((operand) => parseRef(operand, offered));
}
