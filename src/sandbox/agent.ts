/** How the agent gets into a sandbox, and how its bridge is reached: in command lines, independently of the image. */

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';

const FOLDER = new URL('./agent/', import.meta.url);
/** Programs of their own beside the agent's modules. */
const BOOTSTRAP = 'bootstrap.py';
const CONNECT = 'connect.py';
/** The abstract socket that the agent of a session listens on. */
const BRIDGE = 'coderun-agent';
const PACKAGE = 'agent';

/** The agent: Python modules by name, and what becomes of them. */
export interface AgentSource {
  /** Unpacks the modules from its first argument and runs them. */
  bootstrap: string;
  modules: Record<string, string>;
}

/**
 * The command of a sandbox's container that runs the agent. `-I` keeps the environment and the working directory from
 * being trusted, `-S` the start-up code of the image.
 */
export const agentCommand = ({ bootstrap, modules }: AgentSource): string[] => [
  'python3',
  '-I',
  '-S',
  '-c',
  bootstrap,
  deflateRawSync(JSON.stringify(modules), { level: 9 }).toString('base64'),
];

/** Tells the agents that commands start apart, within the length of a label. */
export const agentVersion = (command: readonly string[]): string =>
  createHash('sha256').update(JSON.stringify(command)).digest('hex').slice(0, 10);

/** The agent's source, which lies beside this file and beside the bundle. */
export function agentSource(): AgentSource {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith('.py'));
  const moduleName = (name: string) => `${PACKAGE}.${name.slice(0, -'.py'.length)}`;
  const modules = names
    .filter((name) => name !== BOOTSTRAP && name !== CONNECT)
    .map((name) => [moduleName(name), source(name)]);
  return { bootstrap: source(BOOTSTRAP), modules: { [PACKAGE]: '', ...Object.fromEntries(modules) } };
}

/** The command that a process in the sandbox runs to speak bridge-protocol.ts over its standard input and output. */
export const bridgeCommand = (name = BRIDGE): string[] => ['python3', '-I', '-S', '-c', source(CONNECT), name];

const source = (name: string): string => readFileSync(new URL(name, FOLDER), 'utf8');
