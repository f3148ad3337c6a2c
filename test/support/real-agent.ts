/** The real agent as a process of this machine, opened for a session; bridges to it are processes as in a cluster. */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AttachedStream, StreamEnd } from '../../src/kube/port.ts';
import { agentCommand, agentSource, bridgeCommand } from '../../src/sandbox/agent.ts';
import { lines } from '../../src/sandbox/lines.ts';
import { parseEvent } from '../../src/sandbox/protocol.ts';

const NOBODY = 65_534;
const PATH = '/usr/local/bin:/usr/bin:/bin';
const MEMORY_BYTES = 512 * 1024 * 1024;

export interface RealAgent extends AsyncDisposable {
  readonly workspace: string;
  /** Starts a bridge, as an exec into the sandbox does. */
  connect(): AttachedStream;
  /** Bridges that have not been closed. */
  connected(): number;
  /** SIGKILL is the death of the sandbox; SIGSTOP and SIGCONT make it stand still for a while. */
  signal(name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void;
}

export async function startAgent(): Promise<RealAgent> {
  const workspace = mkdtempSync(join(tmpdir(), 'agent-'));
  const bridge = `agent-${randomUUID()}`;
  const isRoot = process.getuid?.() === 0;
  if (isRoot) chownSync(workspace, NOBODY, NOBODY);
  const env = {
    PATH,
    TMPDIR: `${workspace}/.tmp`,
    CODERUN_WORKSPACE: workspace,
    CODERUN_PRELOAD: '',
    CODERUN_BRIDGE: bridge,
  };
  const [command = '', ...args] = agentCommand(agentSource());
  const agent = spawn(command, args, { env, ...(isRoot && { uid: NOBODY, gid: NOBODY }) });
  const bridges = new Set<ChildProcessWithoutNullStreams>();
  agent.stdin.write('{"hello":{"epoch":1}}\n');
  agent.stdin.write(`${JSON.stringify({ open: { id: 'session', epoch: 1, memoryBytes: MEMORY_BYTES } })}\n`);
  await opened(agent);
  agent.stdout.resume();
  return {
    workspace,
    connect() {
      const [program = '', ...rest] = bridgeCommand(bridge);
      const child = spawn(program, rest, { env: { PATH } });
      bridges.add(child);
      return streamOf(child);
    },
    connected: () => [...bridges].filter(({ killed, exitCode }) => !killed && exitCode === null).length,
    signal: (name) => agent.kill(name),
    async [Symbol.asyncDispose]() {
      for (const child of [...bridges, agent]) child.kill('SIGKILL');
      if (agent.exitCode === null && agent.signalCode === null) await once(agent, 'exit');
      rmSync(workspace, { recursive: true, force: true });
    },
  };
}

async function opened(agent: ChildProcessWithoutNullStreams): Promise<void> {
  for await (const line of lines(agent.stdout.iterator({ destroyOnReturn: false }))) {
    const event = parseEvent(line);
    if (event && 'opened' in event) return;
  }
  throw new Error('the agent did not open the session');
}

function streamOf(child: ChildProcessWithoutNullStreams): AttachedStream {
  const { promise: ended, resolve } = Promise.withResolvers<StreamEnd>();
  child.once('close', () => resolve({ kind: 'ended', message: 'the process has ended' }));
  child.stdin.on('error', () => undefined);
  return {
    output: child.stdout,
    ended,
    write: (data) =>
      new Promise((done, fail) => {
        child.stdin.write(data, (error) => (error ? fail(error) : done()));
      }),
    close: () => {
      child.kill('SIGKILL');
    },
  };
}
