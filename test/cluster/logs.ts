/** Shows what a part of the cluster says. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from './context.ts';
import { findEngine } from './engine.ts';
import { ClusterError } from './errors.ts';
import { DEPLOYMENTS, SYSTEM_NAMESPACE } from './install.ts';
import { CLUSTER_NAME } from './kind.ts';
import { clusterFlags } from './kubectl.ts';

const UNITS = ['kubelet', 'containerd', 'load-images', 'pod-network'];
const CONTROL_PLANE = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'etcd'];
const LINES = '300';

/** Resolves with the exit code of the command that shows the log. */
export async function showLogs(context: Context, component: string, follow: boolean): Promise<number> {
  const command = inCluster(context, component) ?? inFile(context, component);
  if (command === undefined) {
    const known = [...DEPLOYMENTS, ...UNITS, ...CONTROL_PLANE, 'build', ...stepLogs(context)];
    throw new ClusterError(`There is no log of ${component || 'nothing'}.`, `Name one of: ${known.join(' ')}.`);
  }
  const [program = '', ...args] = [...command, ...(follow ? ['--follow'] : [])];
  const engine = await findEngine(context);
  const child = spawn(program, args, { stdio: 'inherit', env: { ...context.environment, ...engine?.environment } });
  const [code] = await once(child, 'exit');
  return typeof code === 'number' ? code : 1;
}

/** The command that shows the log of something that runs in the cluster. */
function inCluster(context: Context, component: string): string[] | undefined {
  const logs = (namespace: string, what: string) => [
    'kubectl',
    ...clusterFlags(context),
    ...['--namespace', namespace, 'logs', what, `--tail=${LINES}`],
  ];
  const node = `${CLUSTER_NAME}-control-plane`;
  if (DEPLOYMENTS.includes(component)) return logs(SYSTEM_NAMESPACE, `deployment/${component}`);
  if (CONTROL_PLANE.includes(component)) return logs('kube-system', `${component}-${node}`);
  if (!UNITS.includes(component)) return undefined;
  return ['docker', 'exec', node, 'journalctl', '--no-pager', `--unit=${component}`, `--lines=${LINES}`];
}

/** `build` is the log written last, of whatever step. */
function inFile(context: Context, component: string): string[] | undefined {
  const names = stepLogs(context);
  const name = component === 'build' ? names[0] : names.find((candidate) => candidate === component);
  return name === undefined ? undefined : ['tail', `--lines=${LINES}`, join(context.paths.logs, `${name}.log`)];
}

/** The names of our own logs, the newest first. */
function stepLogs({ paths }: Context): string[] {
  const written = (name: string) => statSync(join(paths.logs, `${name}.log`)).mtimeMs;
  const names = readdirSync(paths.logs).map((name) => name.replace(/\.log$/, ''));
  return names.sort((one, other) => written(other) - written(one));
}
