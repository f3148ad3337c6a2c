import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { afterEach, expect, test } from 'vitest';
import { agentCommand, agentSource, agentVersion, bridgeCommand } from '../../../src/sandbox/agent.ts';
import { type BridgeEvent, parseBridgeEvent } from '../../../src/sandbox/bridge-protocol.ts';
import { lines } from '../../../src/sandbox/lines.ts';
import { encodeCommand, parseEvent } from '../../../src/sandbox/protocol.ts';

type Child = ChildProcessByStdio<Writable, Readable, null>;

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function start(command: string[], environment: Record<string, string> = {}): Child {
  const [file = '', ...args] = command;
  const env = { ...process.env, ...environment };
  const child = spawn(file, args, { env, stdio: ['pipe', 'pipe', 'ignore'] });
  child.stdin.on('error', () => undefined);
  cleanups.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  return child;
}

/** An agent that runs as the sandbox runs it, opened for a session, and the name of its bridge. */
async function openedAgent(): Promise<{ agent: Child; bridge: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'agent-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  const bridge = folder.replaceAll('/', '-');
  const agent = start(agentCommand(agentSource()), { CODERUN_WORKSPACE: folder, CODERUN_BRIDGE: bridge });
  agent.stdin.write(encodeCommand({ hello: { epoch: 1 } }));
  agent.stdin.write(encodeCommand({ open: { id: 'session', epoch: 1, memoryBytes: 2 ** 29 } }));
  for await (const line of lines(agent.stdout)) {
    const event = parseEvent(line);
    expect(event).toBeDefined();
    if (event && 'opened' in event) break;
  }
  return { agent, bridge };
}

async function answers(client: Child, request: object): Promise<BridgeEvent[]> {
  client.stdin.write(`${JSON.stringify(request)}\n`);
  const events: BridgeEvent[] = [];
  for await (const line of lines(client.stdout.iterator({ destroyOnReturn: false }))) {
    const event = parseBridgeEvent(line);
    if (!event) throw new Error(`no event: ${line.slice(0, 200)}`);
    events.push(event);
    if ('done' in event || 'failed' in event) return events;
  }
  throw new Error('the bridge ended');
}

test('the command line that carries the agent has room to spare', () => {
  const command = agentCommand(agentSource());
  expect(command.slice(0, 4)).toEqual(['python3', '-I', '-S', '-c']);
  expect(command.join(' ').length).toBeLessThan(100 * 1024);
  expect(Object.keys(agentSource().modules)).toContain('agent.main');
});

test('every command has a version of its own, which is a label, and always the same one', () => {
  const commands = [agentCommand(agentSource()), ['a', 'b'], ['a b'], ['a', 'c']];
  const versions = commands.map(agentVersion);
  expect(new Set(versions).size).toBe(4);
  for (const version of versions) expect(version).toMatch(/^[0-9a-f]{10}$/);
  expect(agentVersion(agentCommand(agentSource()))).toBe(versions[0]);
});

test('the bridge carries requests and answers of any size, as the protocol has them', async () => {
  const { bridge } = await openedAgent();
  const client = start(bridgeCommand(bridge));
  const execute = { language: 'python', code: 'print("x" * 10**6)\n1 + 1', timeoutSeconds: 20 };
  const events = await answers(client, { id: 'a', execute });
  const printed = events.flatMap((event) => ('stdout' in event ? [event.stdout] : [])).join('');
  expect(printed).toBe(`${'x'.repeat(1_000_000)}\n`);
  expect(events.at(-1)).toMatchObject({ id: 'a', done: { exit: { exitCode: 0, session: { stateKept: true } } } });
  const code = `len("${'y'.repeat(500_000)}")`;
  const long = await answers(client, { id: 'b', execute: { ...execute, code } });
  expect(long).toContainEqual({ id: 'b', result: { mime: { 'text/plain': '500000' } } });
  for (const request of [
    { id: 'c', listFiles: { path: '' } },
    { id: 'd', variables: {} },
    { id: 'e', readFile: { path: 'missing' } },
    { id: 'f', interrupt: {} },
  ])
    expect((await answers(client, request)).at(-1)).toMatchObject({ id: request.id });
});

test('the bridge ends with its input, and with the agent', async () => {
  const { agent, bridge } = await openedAgent();
  const left = start(bridgeCommand(bridge));
  await answers(left, { id: 'a', interrupt: {} });
  left.stdin.end();
  expect(await once(left, 'exit')).toEqual([0, null]);
  const other = start(bridgeCommand(bridge));
  await answers(other, { id: 'a', interrupt: {} });
  agent.stdin.write(encodeCommand({ shutdown: { epoch: 1 } }));
  expect(await once(other, 'exit')).toEqual([0, null]);
});

test('a bridge to nowhere ends with a failure', async () => {
  expect(await once(start(bridgeCommand('nobody-listens-here')), 'exit')).toEqual([1, null]);
});
