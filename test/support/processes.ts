/** Child processes of a test, which end with it whatever becomes of it. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { createServer } from 'node:net';

export interface Started {
  readonly process: ChildProcess;
  /** Resolves with a sentence when the process has ended. */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

/** Starts a program whose output goes to the file `log`. The kernel kills it when this process dies. */
export function start(command: string, parameters: string[], log: string, cwd: string): Started {
  const output = openSync(log, 'a');
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...parameters], {
    cwd,
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(`${command} ended with ${signal ?? `code ${code}`}; see ${log}`));
    child.once('error', (error) => resolve(`${command} did not start: ${error.message}`));
  });
  return {
    process: child,
    ended,
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Ports of 127.0.0.1 that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
