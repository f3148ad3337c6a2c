/** kubectl, always with its cluster named: ours by its own kubeconfig, another by a context of the user's, which is never changed. */

import type { Context } from './context.ts';
import type { CommandOptions } from './run-command.ts';

export type Kubectl = (args: readonly string[], options?: CommandOptions) => Promise<string>;

/** kubectl for our own cluster, or for the cluster of `contextName` in the user's kubeconfig. */
export function kubectlOf(context: Context, contextName?: string): Kubectl {
  const cluster = clusterFlags(context, contextName);
  return (args, options) => context.run('kubectl', [...cluster, ...args], { timeout: 120_000, ...options });
}

export const clusterFlags = (context: Context, contextName?: string): string[] =>
  contextName === undefined ? ['--kubeconfig', context.paths.kubeconfig] : ['--context', contextName];
