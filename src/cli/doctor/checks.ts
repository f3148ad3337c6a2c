/** The checks of `coderun doctor`: each has something run that must not succeed, and reads what became of it. */

import type { NewRun, Run } from '../../client/index.ts';
import { duration } from '../table.ts';
import { FACTS, FILL, FLOOD, FORK, HOARD, SPIN, TRACE } from './programs.ts';

export interface Finding {
  state: 'ok' | 'FAILED' | 'skipped';
  detail: string;
}

export interface Check {
  name: string;
  /** What holds where it is ok. */
  promise: string;
  find(lab: Lab): Promise<Finding>;
}

/** What a check works with. */
export interface Lab {
  /** The run at its end, in the class that is looked into. */
  run(fields: Pick<NewRun, 'code'> & Partial<NewRun>): Promise<Run>;
  /** What a program sees in its sandbox; found out once. */
  facts(): Promise<Facts>;
}

export interface Facts {
  run: Run;
  kernel: string;
  gvisor: boolean;
  user: number;
  root: boolean;
  capabilities: number;
  privileges: boolean;
  token: boolean;
  writable: string[];
  interfaces: string[];
  resolves: boolean;
  connects: Record<string, [connected: boolean, detail: string]>;
}

/** Addresses that no sandbox may reach, by name; those of the public internet are open to the class network Internet. */
const TARGETS: Readonly<Record<string, readonly [host: string, port: number]>> = {
  internet: ['1.1.1.1', 443],
  metadata: ['169.254.169.254', 80],
  services: ['10.96.0.1', 443],
  dns: ['10.96.0.10', 53],
};

const ok = (detail: string): Finding => ({ state: 'ok', detail });
const failed = (detail: string): Finding => ({ state: 'FAILED', detail });
const judged = (holds: boolean, detail: string): Finding => (holds ? ok(detail) : failed(detail));

/** How a run ended, in a few words. */
const ending = ({ reason, message, durationMilliseconds, stdout = '' }: Run): string =>
  [reason, reason === 'Completed' ? stdout.trim() : message, duration(durationMilliseconds)].filter(Boolean).join(', ');

/** Finds out once what the sandbox shows. Throws where the program did not tell. */
export async function readFacts(run: Lab['run'], targets: object = TARGETS): Promise<Facts> {
  const ended = await run({
    code: FACTS,
    env: [{ name: 'TARGETS', value: JSON.stringify(targets) }],
    timeoutSeconds: 60,
  });
  try {
    return { ...JSON.parse(ended.stdout ?? ''), run: ended };
  } catch {
    throw new Error(`the program that looks around did not end well: ${ending(ended)} ${ended.stderr ?? ''}`);
  }
}

export const CHECKS: readonly Check[] = [
  {
    name: 'run',
    promise: 'a program runs and its output comes back',
    async find({ run }) {
      const ended = await run({ code: 'print(6 * 7)' });
      return judged(ended.reason === 'Completed' && ended.stdout === '42\n', ending(ended));
    },
  },
  {
    name: 'gvisor',
    promise: "the kernel in the sandbox is gVisor's",
    async find({ facts }) {
      const { gvisor, kernel, run } = await facts();
      const where = `RuntimeClass ${run.sandbox?.runtimeClassName ?? 'unknown'}, kernel ${kernel}`;
      return judged(gvisor, gvisor ? where : `${where}: its log does not say that gVisor started it`);
    },
  },
  {
    name: 'network',
    promise: 'nothing is reached that the class does not allow',
    async find({ facts }) {
      const { connects, resolves, interfaces, run } = await facts();
      const mode = run.sandbox?.network ?? 'None';
      const allowed = mode === 'Internet' ? ['internet', 'dns'] : [];
      const reached = Object.keys(connects).filter((name) => connects[name]?.[0] && !allowed.includes(name));
      if (resolves && mode === 'None') reached.push('the names of services');
      const seen = `network ${mode}, interfaces ${interfaces.join(' ') || 'none'}`;
      return judged(reached.length === 0, reached.length === 0 ? seen : `${seen}; reached: ${reached.join(', ')}`);
    },
  },
  {
    name: 'rights',
    promise: 'the program is nobody: no root, capabilities or token',
    async find({ facts }) {
      const { user, root, capabilities, privileges, token } = await facts();
      const has = [
        (user === 0 || root) && 'root',
        capabilities !== 0 && `capabilities ${capabilities.toString(16)}`,
        privileges && 'new privileges',
        token && 'a service account token',
      ].filter((one) => one !== false);
      return judged(has.length === 0, has.length === 0 ? `user ${user}` : `the program has ${has.join(', ')}`);
    },
  },
  {
    name: 'root-files',
    promise: 'the file system of the image can not be written',
    async find({ facts }) {
      const { writable } = await facts();
      return judged(writable.length === 0, writable.length === 0 ? 'read-only' : `written: ${writable.join(' ')}`);
    },
  },
  {
    name: 'timeout',
    promise: 'a program that does not end is ended',
    async find({ run }) {
      const ended = await run({ code: SPIN, timeoutSeconds: 1 });
      return judged(ended.reason === 'Timeout' && (ended.durationMilliseconds ?? 0) < 10_000, ending(ended));
    },
  },
  {
    name: 'memory',
    promise: 'a program gets no more memory than it may have',
    async find({ run }) {
      const ended = await run({ code: HOARD, resources: { memory: '128Mi' }, timeoutSeconds: 60 });
      return judged(ended.reason === 'OutOfMemory', ending(ended));
    },
  },
  {
    name: 'processes',
    promise: 'a program can not start processes without end',
    async find({ run }) {
      const ended = await run({ code: FORK, timeoutSeconds: 60 });
      const refused = ended.reason === 'Completed' && !ended.stdout?.includes('nothing was refused');
      return judged(refused || ended.reason === 'OutOfMemory', ending(ended));
    },
  },
  {
    name: 'disk',
    promise: 'a program can not fill the disk of its node',
    async find({ run }) {
      const ended = await run({ code: FILL, timeoutSeconds: 60 });
      const refused = ended.reason === 'Completed' && !ended.stdout?.includes('nothing was refused');
      return judged(refused || ['DiskLimit', 'OutOfMemory'].includes(ended.reason), ending(ended));
    },
  },
  {
    name: 'output',
    promise: 'what a program prints is bounded',
    async find({ run }) {
      const { output, stdout = '', reason } = await run({ code: FLOOD });
      const held = Buffer.byteLength(stdout);
      const detail = `${output?.stdoutBytes ?? 0} bytes were printed, ${held} are held`;
      return judged(reason === 'Completed' && output?.stdoutTruncated === true && held <= 128 * 1024, detail);
    },
  },
  {
    name: 'fresh',
    promise: 'no run finds anything of another',
    async find({ run }) {
      await run({ code: TRACE });
      const { stdout, reason } = await run({ code: TRACE });
      return judged(
        reason === 'Completed' && stdout === '[]\n',
        `traces of the run before: ${stdout?.trim() || reason}`,
      );
    },
  },
];
