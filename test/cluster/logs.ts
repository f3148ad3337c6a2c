/** Shows what a part of the cluster says. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Context } from './context.ts';
import { findEngine } from './engine.ts';
import { ClusterError } from './errors.ts';
import { DEPLOYMENTS, SYSTEM_NAMESPACE } from './install.ts';
import { CLUSTER_NAME } from './kind.ts';
import { clusterFlags } from './kubectl.ts';

const UNITS = ['kubelet', 'containerd', 'load-images'];
const CONTROL_PLANE = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'etcd'];
const LINES = '300';

/** Commands whose output is wanted, by component; files of our own otherwise. */
function logCommand(context: Context, component: string, follow: boolean): string[] | undefined {
  const followed = follow ? ['--follow'] : [];
  const kubectl = ['kubectl', ...clusterFlags(context)];
  if (DEPLOYMENTS.includes(component)) {
    return [
      ...kubectl,
      '--namespace',
      SYSTEM_NAMESPACE,
      'logs',
      `deployment/${component}`,
      `--tail=${LINES}`,
      ...followed,
    ];
  }
  if (CONTROL_PLANE.includes(component)) {
    const pod = `${component}-${CLUSTER_NAME}-control-plane`;
    return [...kubectl, '--namespace', 'kube-system', 'logs', pod, `--tail=${LINES}`, ...followed];
  }
  if (UNITS.includes(component)) {
    const journal = ['journalctl', '--no-pager', `--unit=${component}`, `--lines=${LINES}`, ...followed];
    return ['docker', 'exec', `${CLUSTER_NAME}-control-plane`, ...journal];
  }
  const file = join(context.paths.logs, `${component}.log`);
  return existsSync(file) ? ['tail', '-n', LINES, ...(follow ? ['-f'] : []), file] : undefined;
}

/** Resolves with the exit code of the command that shows the log. */
export async function showLogs(context: Context, component: string, follow: boolean): Promise<number> {
  const [command, ...args] = logCommand(context, component, follow) ?? [];
  if (command === undefined) {
    const files = (await readdir(context.paths.logs)).map((name) => name.replace(/\.log$/, ''));
    const known = [...DEPLOYMENTS, ...UNITS, ...CONTROL_PLANE, ...files];
    throw new ClusterError(`There is no log of ${component || 'nothing'}.`, `Name one of: ${known.join(' ')}.`);
  }
  const engine = await findEngine(context);
  const child = spawn(command, args, { stdio: 'inherit', env: { ...context.environment, ...engine?.environment } });
  const [code] = await once(child, 'exit');
  return typeof code === 'number' ? code : 1;
}
