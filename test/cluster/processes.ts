/** Processes that outlive the command which starts them, remembered by id and start time so that no other process is ever ended in their place. */

import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from boot to the process's start: with the pid it names one process, even after pids have wrapped round. */
  readonly startTime: string;
}

/** The start time out of the text of /proc/PID/stat, whose second field is a name that may hold spaces and brackets. */
export function startTimeOf(stat: string): string | undefined {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

/** Undefined where no such process runs. A zombie counts as ended. */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const startTime = startTimeOf(stat);
    const state = stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
    return startTime === undefined || state === 'Z' ? undefined : { pid, startTime };
  } catch {
    return undefined;
  }
}

export const isAlive = (one: ProcessIdentity): boolean => identify(one.pid)?.startTime === one.startTime;

const fileOf = (folder: string, name: string): string => join(folder, `${name}.process`);

/** Starts a process in a session of its own; its output goes to `log`. */
export function startProcess(
  folder: string,
  name: string,
  command: string,
  args: readonly string[],
  log: string,
  env: NodeJS.ProcessEnv,
) {
  const output = openSync(log, 'a');
  const child = spawn(command, args, { detached: true, stdio: ['ignore', output, output], env });
  closeSync(output);
  child.on('error', () => {}); // Seen as a process that doesn't run.
  child.unref();
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  if (identity !== undefined) writeFileSync(fileOf(folder, name), JSON.stringify(identity));
}

export function runningProcess(folder: string, name: string): ProcessIdentity | undefined {
  const file = fileOf(folder, name);
  if (!existsSync(file)) return undefined;
  const identity: ProcessIdentity = JSON.parse(readFileSync(file, 'utf8'));
  return isAlive(identity) ? identity : undefined;
}

/** The names of all processes remembered in `folder`. */
export const rememberedProcesses = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder).flatMap((name) => (name.endsWith('.process') ? [name.slice(0, -'.process'.length)] : []))
    : [];

/**
 * Ends a remembered process: by SIGTERM, after `grace` milliseconds by SIGKILL.
 * `spokesman` is who gets the SIGTERM, where it isn't the process itself.
 */
export async function stopProcess(
  folder: string,
  name: string,
  grace: number,
  spokesman?: ProcessIdentity,
): Promise<void> {
  const identity = runningProcess(folder, name);
  if (identity !== undefined) {
    signal(spokesman ?? identity, 'SIGTERM');
    await ended(identity, grace);
    signal(identity, 'SIGKILL');
    await ended(identity, 5_000);
  }
  rmSync(fileOf(folder, name), { force: true });
}

async function ended(one: ProcessIdentity, milliseconds: number): Promise<void> {
  for (let waited = 0; waited < milliseconds && isAlive(one); waited += 50) await sleep(50);
}

function signal(one: ProcessIdentity, name: NodeJS.Signals): void {
  if (isAlive(one)) process.kill(one.pid, name);
}
