/** What the tests of this room share: a small kind of object, a logger that remembers, repeatable chance. */

import type { KubernetesObject } from '../../../src/api/object.ts';
import type { Logger } from '../../../src/runtime/logger.ts';

export interface Thing extends KubernetesObject {
  value: string;
}

export function aThing(
  name: string,
  resourceVersion: string | number,
  overrides: Partial<Thing & { uid: string }> = {},
): Thing {
  const { uid = `uid-of-${name}`, ...rest } = overrides;
  return {
    apiVersion: 'test/v1',
    kind: 'Thing',
    metadata: {
      name,
      namespace: 'default',
      uid,
      resourceVersion: String(resourceVersion),
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    value: '',
    ...rest,
  };
}

export interface LogLine {
  level: keyof Logger;
  fields: object;
  message: string;
}

export class RecordingLogger implements Logger {
  readonly lines: LogLine[] = [];

  debug = (fields: object, message: string): void => this.#record('debug', fields, message);
  info = (fields: object, message: string): void => this.#record('info', fields, message);
  warn = (fields: object, message: string): void => this.#record('warn', fields, message);
  error = (fields: object, message: string): void => this.#record('error', fields, message);

  messages(level: keyof Logger): string[] {
    return this.lines.filter((line) => line.level === level).map((line) => line.message);
  }

  #record(level: keyof Logger, fields: object, message: string): void {
    this.lines.push({ level, fields, message });
  }
}

/** Chance that always falls on the low side: jitter adds nothing. */
export const noJitter = (): number => 0;
