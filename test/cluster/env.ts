/** The lines that `eval` takes, so that a shell works with our cluster. */

import { existsSync } from 'node:fs';
import { type Context, gatewayUrl } from './context.ts';
import { ClusterError } from './errors.ts';

export function exportLines(context: Context): string {
  const { kubeconfig, bin } = context.paths;
  if (!existsSync(kubeconfig)) throw new ClusterError('The cluster is not up.', 'Bring it up: npm run cluster -- up');
  return [
    `export KUBECONFIG=${quoted(kubeconfig)}`,
    `export PATH=${quoted(bin)}:"$PATH"`,
    `export CODERUN_URL=${gatewayUrl(context)}`,
    '',
  ].join('\n');
}

/** As one word for a POSIX shell. */
export const quoted = (text: string): string => (/^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
