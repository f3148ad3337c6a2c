/** `coderun get`: a run, a batch or a session as it stands. */

import type { Batch, Run, Session } from '../../client/index.ts';
import type { Command } from '../command.ts';
import type { Connection } from '../connection.ts';
import { write, writeJson } from '../io.ts';
import { printable, printableLine } from '../printable.ts';
import { parseRefs, type Ref } from '../refs.ts';
import { bytes, duration, table } from '../table.ts';

export const get: Command = {
  name: 'get',
  operands: 'NAME | batch/NAME | session/NAME ...',
  summary: 'Shows a run, a batch or a session',
  flags: { json: { help: 'as JSON' } },
  examples: ['coderun get run-abc', 'coderun get batch/grading --json'],
  async run({ io, flags, operands, connect }) {
    const refs = parseRefs(operands);
    const { client } = await connect();
    for (const ref of refs) {
      const { object, text } = await READERS[ref.kind](client, ref);
      await (flags.isOn('json') ? writeJson(io, object) : write(io.stdout, text()));
    }
    return 0;
  },
};

type Client = Connection['client'];

const READERS: Record<Ref['kind'], (client: Client, ref: Ref) => Promise<{ object: object; text: () => string }>> = {
  async run(client, { name }) {
    const object = await client.runs.get(name);
    return { object, text: () => runText(object) };
  },
  async batch(client, { name }) {
    const object = await client.batches.get(name);
    return { object, text: () => batchText(object) };
  },
  async session(client, { name }) {
    const object = await client.sessions.get(name);
    return { object, text: () => sessionText(object) };
  },
};

type Row = readonly [name: string, value: string | number | undefined];

/** Rows whose value is known. */
const facts = (...rows: readonly Row[]): string =>
  rows
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([name, value]) => `${`${name}:`.padEnd(11)}${printableLine(String(value), 1000)}\n`)
    .join('');

const block = (title: string, text: string | undefined): string =>
  text ? `--- ${title}\n${printable(text)}${text.endsWith('\n') ? '' : '\n'}` : '';

function runText(run: Run): string {
  const { usage, sandbox } = run;
  const used = usage && `${duration(usage.cpuMilliseconds)} of processor time, ${bytes(usage.peakMemoryBytes)} at most`;
  const where = sandbox && [sandbox.podName, sandbox.nodeName, sandbox.kernel, sandbox.warm && 'warm'].filter(Boolean);
  return [
    facts(
      ['run', run.name],
      ['state', `${run.state} (${run.reason})`],
      ['message', run.message],
      ['exit', run.signal ?? run.exitCode],
      ['started', run.startTime],
      ['duration', duration(run.durationMilliseconds)],
      ['queue', duration(run.queueMilliseconds)],
      ['used', used],
      ['sandbox', where?.join(', ')],
      ['artifacts', run.artifacts?.map(({ path, bytes: size }) => `${path} (${bytes(size)})`).join(', ')],
    ),
    block('stdout', run.stdout),
    block('stderr', run.stderr),
  ].join('');
}

function batchText(batch: Batch): string {
  const { counts, items = [] } = batch;
  const rows = items.map((item) => [
    item.name,
    item.reason,
    String(item.exitCode ?? ''),
    duration(item.durationMilliseconds),
    item.runName,
  ]);
  const done =
    counts && `${counts.succeeded} succeeded, ${counts.failed} failed, ${counts.running} running of ${counts.total}`;
  const head = facts(['batch', batch.name], ['state', `${batch.state} (${batch.reason})`], ['items', done]);
  return head + (rows.length > 0 ? table(['ITEM', 'REASON', 'EXIT', 'DURATION', 'RUN'], rows) : '');
}

const sessionText = (session: Session): string =>
  facts(
    ['session', session.name],
    ['state', `${session.state} (${session.reason})`],
    ['message', session.message],
    ['executions', session.executions],
    ['last use', session.lastActivityTime],
    ['ends', session.expiresAt],
  );
