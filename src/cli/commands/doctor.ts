/** `coderun doctor`: whether the cluster keeps what it promises, found out by running what must not work. */

import type { NewRun } from '../../client/index.ts';
import type { Command } from '../command.ts';
import type { Connection } from '../connection.ts';
import { CHECKS, type Check, type Facts, type Finding, type Lab, readFacts } from '../doctor/checks.ts';
import { findRuntimeClass } from '../doctor/cluster.ts';
import { CliError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import { type Io, newName, write, writeJson } from '../io.ts';
import { printableLine } from '../printable.ts';

export const doctor: Command = {
  name: 'doctor',
  operands: '',
  summary: 'Checks by trying whether the cluster is safe to run untrusted code',
  details: `
Every check but the first has programs run that try what a sandbox must not let them. With --kube, the RuntimeClass is
looked at as well. It ends with 0 where all is well and with 1 where something is not.`,
  flags: {
    class: { value: 'NAME', help: 'the SandboxClass to look into; else the default one' },
    json: { help: 'answer the findings as JSON' },
  },
  examples: ['coderun doctor', 'kubectl coderun doctor --class internet'],
  async run({ io, flags, connect }) {
    const className = flags.text('class');
    const { client, cluster } = await connect();
    const stop = new AbortController();
    using _interrupts = io.onInterrupt(() =>
      stop.abort(new CliError(EXIT.interrupted.code, 'the checks were broken off')),
    );
    const lab = aLab(client, className, io, stop.signal);
    const runtimeClass: Check = {
      name: 'runtime-class',
      promise: 'the class and its RuntimeClass are there',
      find: async () =>
        cluster ? findRuntimeClass(cluster.kube, className) : { state: 'skipped', detail: 'only with --kube' },
    };
    const findings: (Finding & Pick<Check, 'name' | 'promise'>)[] = [];
    for (const { name, promise, find } of [runtimeClass, ...CHECKS]) {
      const finding = { name, promise, ...(await found(find, lab, stop.signal)) };
      findings.push(finding);
      if (!flags.isOn('json')) await write(io.stdout, line(finding));
    }
    if (flags.isOn('json')) await writeJson(io, findings);
    return findings.some(({ state }) => state === 'FAILED') ? EXIT.failure.code : EXIT.ok.code;
  },
};

/** A check that can't be made has not shown anything: it has failed. */
async function found(find: Check['find'], lab: Lab, signal: AbortSignal): Promise<Finding> {
  try {
    return await find(lab);
  } catch (error) {
    signal.throwIfAborted();
    return { state: 'FAILED', detail: error instanceof Error ? error.message : String(error) };
  }
}

const line = ({ state, name, promise, detail }: Finding & Pick<Check, 'name' | 'promise'>): string =>
  `${state.padEnd(7)}  ${name.padEnd(13)}  ${promise} (${printableLine(detail, 300)})\n`;

const WAIT_SECONDS = 60;

function aLab(client: Connection['client'], className: string | undefined, io: Io, signal: AbortSignal): Lab {
  let facts: Promise<Facts> | undefined;
  const run = async (fields: Pick<NewRun, 'code'> & Partial<NewRun>) => {
    const name = newName(io, 'doctor');
    const body = { ttlSecondsAfterFinished: 300, ...fields, name, ...(className !== undefined && { className }) };
    const created = await client.runs.create(body, { waitSeconds: WAIT_SECONDS, signal });
    return ['succeeded', 'failed'].includes(created.state) ? created : client.runs.wait(name, { signal });
  };
  return {
    run,
    facts() {
      facts ??= readFacts(run);
      return facts;
    },
  };
}
