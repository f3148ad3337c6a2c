/**
 * The protocol between this program and the agent in a sandbox: lines of JSON, UTF-8, ended by a newline.
 *
 * What goes in is a command, an object with one key that names it. What comes out is an event; events of a run
 * carry its id, and one key beside it names the kind. Both are bounded: a longer line ends the channel.
 * Everything that comes out is hostile: `parseEvent` is the only way in.
 */

import { z } from 'zod';

/** The longest line either way, in bytes, newline included. */
export const LINE_LIMIT_BYTES = 1024 * 1024;
/** All lines of one run together, in bytes: below the size at which the kubelet rotates a log. */
export const JOURNAL_LIMIT_BYTES = 8 * 1024 * 1024;

const Id = z.string().min(1).max(64);
const count = z.int().min(0);

interface HelloCommand {
  hello: { epoch: number };
}

export interface ExecuteCommand {
  execute: {
    /** Idempotent: the agent runs an id once, and answers the same id again with what it did. */
    id: string;
    epoch: number;
    language: 'python' | 'bash' | 'javascript';
    /** For every language but Python: the command, to which the path of the program's file is added. */
    command?: string[];
    code: string;
    timeoutSeconds: number;
    stdin?: string;
    args?: string[];
    env?: { name: string; value: string }[];
    files?: { path: string; contentBase64: string }[];
    packages?: string[];
    packageIndexURL?: string;
    /** Whether packages without a wheel are built, which runs code of theirs; refused where it is left out. */
    allowSourceBuilds?: boolean;
    artifacts?: string[];
    /** What the program may allocate beside the waiting interpreter, in bytes (RLIMIT_DATA or RLIMIT_AS). */
    memoryBytes: number;
  };
}

/** Ends a run: SIGINT, then SIGKILL for the whole process group a second later. */
interface InterruptCommand {
  interrupt: { id: string; epoch: number };
}

/**
 * Makes the sandbox a session's: interpreters stay from one `execute` to the next, and the agent serves the bridge
 * (bridge-protocol.ts) beside this channel. Idempotent by id; answered with `opened`.
 */
export interface OpenCommand {
  open: {
    /** UID of the ReplSession. */
    id: string;
    epoch: number;
    /** What each interpreter may allocate, in bytes. */
    memoryBytes: number;
    env?: { name: string; value: string }[];
    files?: { path: string; contentBase64: string }[];
    packages?: string[];
    packageIndexURL?: string;
    /** As with `execute`. */
    allowSourceBuilds?: boolean;
  };
}

/** Ends the agent, and with it the sandbox. */
interface ShutdownCommand {
  shutdown: { epoch: number };
}

export type Command = HelloCommand | ExecuteCommand | InterruptCommand | OpenCommand | ShutdownCommand;

const SessionState = z.strictObject({
  id: Id,
  /** `opening` while files are written and packages installed; `failed` where that did not succeed. */
  state: z.enum(['opening', 'open', 'failed']),
  /** Executions that have begun, whoever asked for them. */
  executions: count,
  /** Whether one runs or waits now. */
  busy: z.boolean(),
  /** Since the last request was answered, of whatever kind and over either carrier; 0 while busy. */
  idleMilliseconds: count,
});

export type SessionState = z.output<typeof SessionState>;

const HelloEvent = z.strictObject({
  hello: z.strictObject({
    protocol: z.literal(1),
    epoch: count,
    /** `os.uname().release` inside the sandbox. */
    kernel: z.string().max(128),
    /** True where the kernel's log says that gVisor started it. */
    gvisor: z.boolean(),
    python: z.string().max(32),
    /** What the agent ran or runs. */
    run: z.strictObject({ id: Id, state: z.enum(['running', 'finished']) }).nullable(),
    /** The session that the sandbox was opened for. */
    session: SessionState.nullable().default(null),
  }),
});

const RefusedEvent = z.strictObject({
  refused: z.strictObject({
    reason: z.enum(['StaleEpoch', 'Busy', 'Invalid']),
    message: z.string().max(1024),
    id: Id.nullable(),
  }),
});

/** The session is open, or why it can't be. */
const OpenedEvent = z.strictObject({
  id: Id,
  opened: z.strictObject({
    cause: z.enum(['PackageInstallFailed', 'DiskLimit', 'OutOfMemory']).nullable(),
    message: z.string().max(1024),
  }),
});
const StartedEvent = z.strictObject({ id: Id, started: z.strictObject({}) });
const StdoutEvent = z.strictObject({ id: Id, stdout: z.string() });
const StderrEvent = z.strictObject({ id: Id, stderr: z.string() });
const ResultEvent = z.strictObject({
  id: Id,
  result: z.strictObject({ mime: z.record(z.string().min(1).max(128), z.string()) }),
});
const ArtifactEvent = z.strictObject({
  id: Id,
  artifact: z.strictObject({
    path: z.string().min(1).max(1024),
    /** Size of the whole file. Its chunks come in order; content is left out where the journal has no room. */
    bytes: count,
    offset: count,
    contentBase64: z.string().nullable(),
  }),
});
export const ExitEvent = z.strictObject({
  id: Id,
  exit: z.strictObject({
    exitCode: z.int().min(0).max(255).nullable(),
    signal: z.string().max(32).nullable(),
    /** What ended the run, where it was not the program itself. */
    cause: z.enum(['Timeout', 'Interrupted', 'OutOfMemory', 'DiskLimit', 'PackageInstallFailed']).nullable(),
    error: z
      .strictObject({
        name: z.string().max(256),
        value: z.string().max(8192),
        traceback: z.string().max(65_536),
      })
      .nullable(),
    durationMilliseconds: count,
    /** In a session: which execution this was, and whether what its interpreter held is still there. */
    session: z.strictObject({ executionCount: count, stateKept: z.boolean() }).nullable().default(null),
    usage: z.strictObject({ cpuMilliseconds: count, peakMemoryBytes: count }),
    output: z.strictObject({
      stdoutBytes: count,
      stderrBytes: count,
      stdoutTruncated: z.boolean(),
      stderrTruncated: z.boolean(),
    }),
  }),
});

const AgentEvent = z.union([
  StdoutEvent,
  StderrEvent,
  ResultEvent,
  ArtifactEvent,
  StartedEvent,
  ExitEvent,
  OpenedEvent,
  HelloEvent,
  RefusedEvent,
]);
export type AgentEvent = z.output<typeof AgentEvent>;

/** The event on one line, or undefined where the line is not one: never throws, whatever the line holds. */
export function parseEvent(line: string): AgentEvent | undefined {
  if (line.length > LINE_LIMIT_BYTES) return undefined;
  try {
    return AgentEvent.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

export const encodeCommand = (command: Command): string => `${JSON.stringify(command)}\n`;
