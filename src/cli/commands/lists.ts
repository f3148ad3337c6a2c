/** `coderun runs` and `coderun sessions`: what there is. */

import type { Page, RunListItem, Session } from '../../client/index.ts';
import type { Command } from '../command.ts';
import { write, writeJson } from '../io.ts';
import { age, duration, table } from '../table.ts';

const FLAGS = {
  limit: { value: 'N', help: 'at most so many (100)' },
  json: { help: 'as JSON' },
} as const;

const PAGE = 100;
const USUAL = 100;
const MOST = 10_000;

/** Pages until there are `limit` or no more. */
async function collect<T>(limit: number, page: (limit: number, from?: string) => Promise<Page<T>>): Promise<T[]> {
  const items: T[] = [];
  let from: string | undefined;
  do {
    const answer = await page(Math.min(PAGE, limit - items.length), from);
    items.push(...answer.items);
    from = answer.continue;
  } while (from !== undefined && items.length < limit);
  return items.slice(0, limit);
}

export const listRuns: Command = {
  name: 'runs',
  operands: '',
  summary: 'Lists runs',
  flags: FLAGS,
  examples: ['coderun runs', 'coderun runs --limit 1000 --json'],
  async run({ io, flags, connect }) {
    const limit = flags.integer('limit', { min: 1, max: MOST }) ?? USUAL;
    const { client } = await connect();
    const items = await collect<RunListItem>(limit, (size, from) =>
      client.runs.list({ limit: size, ...(from && { from }) }),
    );
    if (flags.isOn('json')) await writeJson(io, items);
    else await write(io.stdout, runTable(items, io.clock.now()));
    return 0;
  },
};

function runTable(items: readonly RunListItem[], now: Date): string {
  if (items.length === 0) return 'There are no runs.\n';
  const rows = items.map((item) => [
    item.name,
    item.state,
    item.reason,
    String(item.signal ?? item.exitCode ?? ''),
    duration(item.durationMilliseconds),
    age(item.startTime, now),
  ]);
  return table(['NAME', 'STATE', 'REASON', 'EXIT', 'DURATION', 'AGE'], rows);
}

export const listSessions: Command = {
  name: 'sessions',
  operands: '',
  summary: 'Lists sessions',
  flags: FLAGS,
  examples: ['coderun sessions'],
  async run({ io, flags, connect }) {
    const limit = flags.integer('limit', { min: 1, max: MOST }) ?? USUAL;
    const { client } = await connect();
    const items = await collect<Session>(limit, (size, from) =>
      client.sessions.list({ limit: size, ...(from && { from }) }),
    );
    if (flags.isOn('json')) await writeJson(io, items);
    else await write(io.stdout, sessionTable(items, io.clock.now()));
    return 0;
  },
};

function sessionTable(items: readonly Session[], now: Date): string {
  if (items.length === 0) return 'There are no sessions; coderun repl begins one.\n';
  const rows = items.map((item) => [
    item.name,
    item.state,
    item.reason,
    String(item.executions ?? ''),
    age(item.lastActivityTime, now),
    item.expiresAt ?? '',
  ]);
  return table(['NAME', 'STATE', 'REASON', 'EXECUTIONS', 'IDLE', 'ENDS'], rows);
}
