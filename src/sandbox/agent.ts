/** How the agent gets into a sandbox: in the command line of its container, independently of the image. */

import { readdirSync, readFileSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';

const BOOTSTRAP = 'bootstrap.py';
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

/** The agent's source, which lies beside this file and beside the bundle. */
export function agentSource(): AgentSource {
  const folder = new URL('./agent/', import.meta.url);
  const names = readdirSync(folder).filter((name) => name.endsWith('.py'));
  const source = (name: string) => readFileSync(new URL(name, folder), 'utf8');
  const moduleName = (name: string) => `${PACKAGE}.${name.slice(0, -'.py'.length)}`;
  const modules = names.filter((name) => name !== BOOTSTRAP).map((name) => [moduleName(name), source(name)]);
  return { bootstrap: source(BOOTSTRAP), modules: { [PACKAGE]: '', ...Object.fromEntries(modules) } };
}
