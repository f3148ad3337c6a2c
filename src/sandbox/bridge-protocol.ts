/**
 * The protocol of the bridge: lines of JSON between the gateway and the agent of a session's sandbox.
 *
 * Each client of the bridge has a connection of its own and sees nothing of the others. A request carries an id of the
 * client's choice; its answers carry the same id, and the last of them is `done` or `failed`. Requests of one client may
 * overlap. Executions, installations and restarts of a session are done one at a time, in the order of their coming,
 * whoever sent them; files and interrupts don't wait for them.
 */

import { z } from 'zod';
import { ExitEvent } from './protocol.ts';

const count = z.int().min(0);

export type BridgeCommand =
  | {
      execute: {
        language: 'python' | 'bash';
        code: string;
        timeoutSeconds: number;
        /** Name of the interpreter; one is started where there is none of this name and language yet. */
        context?: string;
        stdin?: string;
        /** Where true, the execution goes on when the connection ends; otherwise it is interrupted. */
        detach?: boolean;
      };
    }
  /** Ends the execution `id` of this client, or whatever runs now. An execution that waits is taken out of the queue. */
  | { interrupt: { id?: string } }
  /** Ends the interpreter `context`, or all of them; the next execution gets a fresh one. Files stay. */
  | { restart: { context?: string } }
  /** The variables of a Python interpreter. */
  | { variables: { context?: string } }
  | { listFiles: { path: string } }
  | { readFile: { path: string } }
  /**
   * Followed by `chunk`s of the same id, the last of which says so. The file is there with the last one, or not at all;
   * `bytes`, where they are known, are what it must have.
   */
  | { writeFile: { path: string; bytes?: number } }
  | { chunk: { contentBase64: string; last: boolean } }
  /** A file, a link, or a folder with all that is in it. */
  | { removeFile: { path: string } }
  | { install: { packages: string[]; packageIndexURL: string; timeoutSeconds: number } };

export type BridgeRequest = { id: string } & BridgeCommand;

const Id = z.string().min(1).max(64);

const FAILURES = [
  'Invalid',
  /** Too many executions wait already. */
  'Busy',
  'NotFound',
  'NotAFile',
  'NotAFolder',
  /** The path leads out of the working directory, or through a link. */
  'PathNotAllowed',
  'Exists',
  'DiskLimit',
  'Interrupted',
  'Failed',
] as const;
export type BridgeFailure = (typeof FAILURES)[number];

const FileEntry = z.strictObject({
  /** The name's bytes as UTF-8; bytes that are none are percent-encoded as %XX, and so is the percent sign. */
  name: z.string().min(1).max(1024),
  kind: z.enum(['file', 'folder', 'link', 'other']),
  bytes: count,
  /** Milliseconds since 1970. */
  modified: z.number(),
});

export const Variable = z.strictObject({
  name: z.string().min(1).max(256),
  type: z.string().max(256),
  /** Length or shape as the value tells it, `3` or `(2, 3)`; empty where it has none. */
  size: z.string().max(64),
  /** The beginning of its repr. */
  repr: z.string().max(256),
});

const InstalledPackage = z.strictObject({
  name: z.string().max(256),
  version: z.string().max(128).nullable(),
  message: z.string().max(1024),
});

const event = <T extends z.ZodRawShape>(shape: T) => z.strictObject({ id: Id, ...shape });

const Done = z.strictObject({
  exit: ExitEvent.shape.exit.optional(),
  entries: z.array(FileEntry).max(10_000).optional(),
  truncated: z.boolean().optional(),
  variables: z.array(Variable).max(1000).optional(),
  packages: z.array(InstalledPackage).max(64).optional(),
  bytes: count.optional(),
});

const BridgeEvent = z.union([
  event({ stdout: z.string() }),
  event({ stderr: z.string() }),
  event({ result: z.strictObject({ mime: z.record(z.string().min(1).max(128), z.string()) }) }),
  /** Of a file that is read: `bytes` is its size, `contentBase64` the next of its pieces. */
  event({ chunk: z.strictObject({ bytes: count, contentBase64: z.string() }) }),
  event({ started: z.strictObject({ executionCount: count }) }),
  /** Room for more chunks of a file that is written, in bytes: no client sends more than it was given. */
  event({ window: z.strictObject({ bytes: count }) }),
  event({ failed: z.strictObject({ reason: z.enum(FAILURES), message: z.string().max(1024) }) }),
  event({ done: Done }),
]);
export type BridgeEvent = z.output<typeof BridgeEvent>;

/** The event on one line, or undefined where the line is not one: never throws, whatever the line holds. */
export function parseBridgeEvent(line: string): BridgeEvent | undefined {
  try {
    return BridgeEvent.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
