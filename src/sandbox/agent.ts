/** How the agent gets into a sandbox: in the command line of its container, independently of the image. */

import { readFileSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';

/**
 * Unpacks its first argument and becomes it. `-I` keeps the environment and the working directory from being trusted,
 * `-S` the start-up code of the image.
 */
const BOOTSTRAP =
  'import sys,zlib,base64;' + 'exec(compile(zlib.decompress(base64.b64decode(sys.argv[1]),-15),"<agent>","exec"))';

/** The command of a sandbox's container that runs the agent whose source is `source`. */
export const agentCommand = (source: string): string[] => [
  'python3',
  '-I',
  '-S',
  '-c',
  BOOTSTRAP,
  deflateRawSync(source, { level: 9 }).toString('base64'),
];

/** The agent's source, which lies beside this file and beside the bundle. */
export const agentSource = (): string => readFileSync(new URL('./agent/agent.py', import.meta.url), 'utf8');
