/** Files of a session, in and out piece by piece: none is ever held whole. */

import { z } from 'zod';
import { MIB } from '../api/schema.ts';
import { type Bridge, BridgeBroken, BridgeFailed, type BridgeProgress } from '../sandbox/bridge.ts';
import type { BridgeCommand } from '../sandbox/bridge-protocol.ts';
import type { GatewayDeps } from './deps.ts';
import { Problem } from './problem.ts';
import { SandboxUnreachable } from './session-bridges.ts';
import { callSession, onAbort, soon, unreachable } from './session-calls.ts';
import { failureProblem, unknownState } from './session-problem.ts';
import type { ReadySession } from './session-store.ts';

export const FILE_LIMIT_BYTES = 100 * MIB;
const CHUNK_BYTES = 384 * 1024;

export const FileList = z
  .strictObject({
    entries: z
      .array(
        z.strictObject({
          name: z
            .string()
            .describe('Name of the file; bytes that are not UTF-8, and the percent sign, are written as %XX.'),
          kind: z.enum(['file', 'folder', 'link', 'other']).describe('What it is.'),
          bytes: z.int().describe('Its size in bytes.'),
          modified: z.string().meta({ format: 'date-time' }).describe('When its content was changed last.'),
        }),
      )
      .describe('What is in the folder.'),
    truncated: z.boolean().describe('True where the folder holds more than is listed.'),
  })
  .meta({ id: 'FileList', description: 'What is in a folder of a session.' });
export type FileList = z.output<typeof FileList>;

export async function listFiles(
  deps: GatewayDeps,
  ready: ReadySession,
  path: string,
  signal: AbortSignal,
): Promise<FileList> {
  const { entries = [], truncated = false } = await fileCall(deps, ready, { listFiles: { path } }, signal);
  return { entries: entries.map((entry) => ({ ...entry, modified: timeOf(entry.modified) })), truncated };
}

export async function removeFile(
  deps: GatewayDeps,
  ready: ReadySession,
  path: string,
  signal: AbortSignal,
): Promise<void> {
  await fileCall(deps, ready, { removeFile: { path } }, signal);
}

async function fileCall(deps: GatewayDeps, ready: ReadySession, command: BridgeCommand, signal: AbortSignal) {
  try {
    return await callSession(deps, ready, command, signal);
  } catch (error) {
    throw error instanceof BridgeFailed ? failureProblem(error) : error;
  }
}

/** A program may give a file any time, the farthest from any calendar included. */
const FARTHEST_MILLISECONDS = 8.64e15;
const timeOf = (milliseconds: number): string =>
  new Date(Math.max(-FARTHEST_MILLISECONDS, Math.min(FARTHEST_MILLISECONDS, milliseconds))).toISOString();

export interface Download {
  bytes: number;
  content: AsyncIterable<Uint8Array>;
}

/** A file that is read no faster than its content is taken. Everything is let go of when `signal` aborts, which it must. */
export async function download(
  deps: GatewayDeps,
  ready: ReadySession,
  path: string,
  signal: AbortSignal,
): Promise<Download> {
  const moving = await moveFile(deps, ready, signal);
  try {
    const pieces = new Handoff<BridgeProgress>();
    const { done } = moving.bridge.call({ readFile: { path } }, (event) => pieces.put(event));
    done.then(
      () => pieces.end(),
      (error: unknown) => pieces.end(error),
    );
    const chunks = chunksOf(deps, pieces, signal);
    const first = (await chunks.next()).value ?? undefined;
    const bytes = first?.bytes ?? 0;
    if (bytes > FILE_LIMIT_BYTES) throw tooLarge();
    return { bytes, content: checked(first, chunks, bytes, moving) };
  } catch (error) {
    moving.abandon();
    throw await fileProblem(deps, ready, error, signal);
  }
}

type Chunk = Extract<BridgeProgress, { chunk: unknown }>['chunk'];

async function* chunksOf(deps: GatewayDeps, pieces: Handoff<BridgeProgress>, signal: AbortSignal) {
  for (;;) {
    const event = await soon(deps, pieces.next(), signal);
    if (!event) return;
    if ('chunk' in event) yield event.chunk;
  }
}

/** What the sandbox sends, as long as it is the file that it has told of. */
async function* checked(
  first: Chunk | undefined,
  rest: AsyncIterable<Chunk>,
  bytes: number,
  moving: Moving,
): AsyncGenerator<Uint8Array> {
  let sent = 0;
  const decode = ({ contentBase64 }: Chunk): Uint8Array => {
    const content = Buffer.from(contentBase64, 'base64');
    sent += content.length;
    if (sent > bytes) throw new BridgeBroken(true, 'the file is longer than was said');
    return content;
  };
  if (first) yield decode(first);
  for await (const chunk of rest) yield decode(chunk);
  if (sent !== bytes) throw new BridgeBroken(true, 'the file is shorter than was said');
  moving.finish();
}

/** Writes a file from `body`, no faster than the sandbox takes it; the file is there whole, or not at all. */
export async function upload(
  deps: GatewayDeps,
  ready: ReadySession,
  file: { path: string; bytes?: number },
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const moving = await moveFile(deps, ready, signal);
  try {
    const room = new Room();
    const call = moving.bridge.call({ writeFile: file }, (event) => {
      if ('window' in event) room.add(event.window.bytes);
    });
    const failure = call.done.then(() => {
      throw unknownState();
    });
    failure.catch(() => undefined);
    const send = (content: Uint8Array, last: boolean) =>
      moving.bridge.send(call.id, { chunk: { contentBase64: Buffer.from(content).toString('base64'), last } });
    for await (const piece of body) {
      for (let rest = piece; rest.length > 0; ) {
        const length = await soon(deps, Promise.race([room.take(Math.min(rest.length, CHUNK_BYTES)), failure]), signal);
        await send(rest.subarray(0, length), false);
        rest = rest.subarray(length);
      }
    }
    await send(new Uint8Array(), true);
    await soon(deps, call.done, signal);
    moving.finish();
  } catch (error) {
    moving.abandon();
    throw await fileProblem(deps, ready, error, signal);
  }
}

/** A connection for one file, until it is moved or given up. */
interface Moving {
  readonly bridge: Bridge;
  finish(): void;
  /** Nothing but the end of the connection tells the agent that a file is not wanted any more. */
  abandon(): void;
}

async function moveFile(deps: GatewayDeps, ready: ReadySession, signal: AbortSignal): Promise<Moving> {
  using stack = new DisposableStack();
  stack.use(await deps.bridges.fileTurns.take(ready.address.podUID));
  try {
    const { bridge } = stack.use(await deps.bridges.lease(ready.address, 'files'));
    signal.throwIfAborted();
    const held = stack.move();
    const abandon = () => {
      if (!held.disposed) bridge.close();
      held.dispose();
    };
    held.use(onAbort(signal, abandon));
    return { bridge, finish: () => held.dispose(), abandon };
  } catch (error) {
    throw await fileProblem(deps, ready, error, signal);
  }
}

async function fileProblem(deps: GatewayDeps, { session }: ReadySession, error: unknown, signal: AbortSignal) {
  if (error instanceof BridgeFailed) return failureProblem(error);
  if (error instanceof SandboxUnreachable) return unreachable(deps, session, error, signal);
  return error instanceof BridgeBroken ? unknownState(error) : error;
}

export function tooLarge(): Problem {
  return new Problem('FileTooLarge', `A file may have ${FILE_LIMIT_BYTES} bytes at most.`);
}

/** How much may be sent. */
class Room {
  #bytes = 0;
  #wake = Promise.withResolvers<void>();

  add(bytes: number): void {
    this.#bytes += bytes;
    this.#wake.resolve();
  }

  /** Resolves with what there is room for, at least one byte and at most `wanted`. */
  async take(wanted: number): Promise<number> {
    while (this.#bytes === 0) {
      this.#wake = Promise.withResolvers<void>();
      await this.#wake.promise;
    }
    const taken = Math.min(wanted, this.#bytes);
    this.#bytes -= taken;
    return taken;
  }
}

/** Values from one side to the other, each kept back until the one before is taken. */
class Handoff<T> {
  #held: { value: T; taken: () => void }[] = [];
  #end: { error: unknown } | undefined;
  #wake = Promise.withResolvers<void>();

  put(value: T): Promise<void> {
    const { promise, resolve: taken } = Promise.withResolvers<void>();
    this.#held.push({ value, taken });
    this.#wake.resolve();
    return promise;
  }

  end(error?: unknown): void {
    this.#end ??= { error };
    this.#wake.resolve();
  }

  /** Undefined after the last; rejects where the end was an error. */
  async next(): Promise<T | undefined> {
    for (;;) {
      const first = this.#held.shift();
      if (first) {
        first.taken();
        return first.value;
      }
      if (this.#end) {
        if (this.#end.error !== undefined) throw this.#end.error;
        return undefined;
      }
      this.#wake = Promise.withResolvers<void>();
      await this.#wake.promise;
    }
  }
}
