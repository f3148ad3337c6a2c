/** `coderun cancel` and `coderun delete`. */

import { CODE_BATCHES, CODE_RUNS } from '../../api/group.ts';
import type { Command } from '../command.ts';
import type { Connection } from '../connection.ts';
import { usageError } from '../errors.ts';
import { write } from '../io.ts';
import { parseRefs, type Ref } from '../refs.ts';

export const cancel: Command = {
  name: 'cancel',
  operands: 'NAME | batch/NAME ...',
  summary: 'Cancels runs and batches; their results so far stay',
  flags: {},
  examples: ['coderun cancel run-abc', 'coderun cancel batch/grading'],
  async run({ io, operands, connect }) {
    const refs = parseRefs(operands, ['run', 'batch']);
    const { client } = await connect();
    for (const { kind, name } of refs) {
      const { state } = kind === 'run' ? await client.runs.cancel(name) : await client.batches.cancel(name);
      const had = state === 'succeeded' || state === 'failed';
      await write(io.stdout, `${kind}/${name} ${had ? 'had ended already' : 'is being cancelled'}\n`);
    }
    return 0;
  },
};

export const remove: Command = {
  name: 'delete',
  operands: 'session/NAME | NAME | batch/NAME ...',
  summary: 'Ends sessions; deletes runs and batches (--kube)',
  details: `
A gateway ends sessions only: runs and batches go by themselves when their time to live is over. With --kube, runs and
batches are deleted with all that is known of them; what runs of them is ended.`,
  flags: {},
  examples: ['coderun delete session/s1', 'kubectl coderun delete run-abc batch/grading'],
  async run({ io, operands, connect }) {
    const refs = parseRefs(operands);
    const connection = await connect();
    for (const ref of refs) {
      await removeOne(connection, ref);
      await write(io.stdout, `${ref.kind}/${ref.name} is deleted\n`);
    }
    return 0;
  },
};

async function removeOne({ client, cluster }: Connection, { kind, name }: Ref): Promise<void> {
  if (kind === 'session') return client.sessions.delete(name);
  if (!cluster)
    throw usageError(`NAME: a gateway deletes no ${kind}; coderun cancel ends it, coderun delete --kube deletes it`);
  const type = kind === 'run' ? CODE_RUNS : CODE_BATCHES;
  await cluster.kube.delete(type, cluster.namespace, name, { propagationPolicy: 'Background' });
}
