/** The command line: `cluster COMMAND` and `quickstart`. */

import { parseArgs } from 'node:util';
import type { Context } from './context.ts';
import { down } from './down.ts';
import { quickstartElsewhere } from './elsewhere.ts';
import { findEngine } from './engine.ts';
import { exportLines } from './env.ts';
import { ClusterError } from './errors.ts';
import { CLUSTER_NAME } from './kind.ts';
import { loadImages } from './load.ts';
import { withLock } from './lock.ts';
import { showLogs } from './logs.ts';
import { quickstart } from './quickstart.ts';
import { statusOf } from './status.ts';
import { up } from './up.ts';

const USAGE = `npm run quickstart [-- --context NAME [--operator-image REF --sandbox-image REF --package-index-image REF]]
    From nothing to code that has run in a sandbox: the cluster, the operator and the gateway in it, an example.
    --context installs into an existing cluster of your kubeconfig instead.

npm run cluster -- COMMAND
    up [--nodes N]      bring the cluster up, with at least N nodes
    down                take it down; what was built stays for the next time
    status              what is up; exit code 1 where something isn't
    env                 lines for eval: KUBECONFIG, PATH with kubectl, CODERUN_URL
    load IMAGE...       bring images of the engine, or archives of docker save, into the nodes
    logs NAME [-f]      what a part says: controller, gateway, package-index, engine, kubelet, kube-apiserver, ...
`;

export interface Invocation {
  readonly command: string;
  readonly operands: readonly string[];
  readonly nodes: number | undefined;
  readonly follow: boolean;
  readonly contextName: string | undefined;
  readonly operatorImage: string | undefined;
  readonly sandboxImage: string | undefined;
  readonly packageIndexImage: string | undefined;
}

/** `argv` starts with `cluster` or `quickstart`. Throws `ClusterError` for what makes no sense. */
export function parse(argv: readonly string[]): Invocation {
  const options = {
    nodes: { type: 'string' },
    follow: { type: 'boolean', short: 'f', default: false },
    context: { type: 'string' },
    'operator-image': { type: 'string' },
    'sandbox-image': { type: 'string' },
    'package-index-image': { type: 'string' },
  } as const;
  try {
    const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true });
    const [area, ...rest] = positionals;
    const [command = 'help', ...operands] = area === 'cluster' ? rest : positionals;
    return {
      command,
      operands,
      nodes: values.nodes === undefined ? undefined : nodeCount(values.nodes),
      follow: values.follow,
      contextName: values.context,
      operatorImage: values['operator-image'],
      sandboxImage: values['sandbox-image'],
      packageIndexImage: values['package-index-image'],
    };
  } catch (error) {
    if (error instanceof ClusterError) throw error;
    throw new ClusterError(error instanceof Error ? error.message : String(error), `One of these:\n\n${USAGE}`);
  }
}

function nodeCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= 9) return count;
  throw new ClusterError(`--nodes ${text} is not a number of nodes.`, 'Give a whole number from 1 to 9.');
}

/** What a command wrote for stdout, and its exit code. */
export interface Answer {
  readonly text: string;
  readonly exitCode: number;
}

const well = (text = ''): Answer => ({ text, exitCode: 0 });

const COMMANDS: Readonly<Record<string, (context: Context, invocation: Invocation) => Promise<Answer>>> = {
  help: async () => well(USAGE),
  async up(context, { nodes }) {
    await withLock(context, () => up(context, { nodes }));
    return well('The cluster is up. To use it:  eval "$(npm run -s cluster -- env)"\n');
  },
  async down(context) {
    await withLock(context, () => down(context));
    return well();
  },
  async status(context) {
    const lines = await statusOf(context);
    const text = lines.map(({ part, ok, text }) => `${ok ? 'ok ' : 'NO '} ${part.padEnd(15)}${text}\n`).join('');
    return { text, exitCode: lines.every(({ ok }) => ok) ? 0 : 1 };
  },
  env: async (context) => well(exportLines(context)),
  async load(context, { operands }) {
    if (operands.length === 0) throw new ClusterError('load: no image is named.', 'npm run cluster -- load IMAGE');
    const engine = await findEngine(context);
    if (engine === undefined)
      throw new ClusterError('No engine answers.', 'Bring the cluster up: npm run cluster -- up');
    await withLock(context, () => loadImages(context, engine, CLUSTER_NAME, operands));
    return well('Loaded.\n');
  },
  logs: async (context, { operands, follow }) => ({
    text: '',
    exitCode: await showLogs(context, operands[0] ?? '', follow),
  }),
  async quickstart(context, { contextName, operatorImage, sandboxImage, packageIndexImage }) {
    const work = () =>
      contextName === undefined
        ? quickstart(context)
        : quickstartElsewhere(context, { contextName, operatorImage, sandboxImage, packageIndexImage });
    return well(`${await withLock(context, work)}\n`);
  },
};

export async function runCli(context: Context, argv: readonly string[]): Promise<Answer> {
  const invocation = parse(argv);
  const command = COMMANDS[invocation.command];
  if (command === undefined)
    throw new ClusterError(`There is no command ${invocation.command}.`, `One of these:\n\n${USAGE}`);
  return command(context, invocation);
}
