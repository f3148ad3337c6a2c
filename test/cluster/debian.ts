/** Small Debian root file systems, made on this machine: of the nodes, and of our images where no registry answers. */

import { copyFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type CachedStep, resultOf } from './cached-step.ts';
import type { Context } from './context.ts';
import { IMAGE_SUITE, NODE_SUITE } from './versions.ts';

/** In the folder of each of these steps: the root file system. */
export const ROOT_TAR = 'root.tar';

const NODE_PACKAGES =
  'systemd systemd-sysv dbus conntrack iptables nftables iproute2 ethtool mount kmod libseccomp2 procps ca-certificates curl jq runc containernetworking-plugins';

export const nodeBaseStep = (context: Context): CachedStep =>
  debianStep(context, 'node-base', NODE_SUITE, NODE_PACKAGES.split(' '), 'for the nodes');

export const pythonBaseStep = (context: Context): CachedStep =>
  debianStep(context, 'python-base', IMAGE_SUITE, ['python3', 'ca-certificates'], 'for the images');

/** The same Debian with the very Node that runs this. */
export function nodejsBaseStep(context: Context): CachedStep {
  const debian = pythonBaseStep(context);
  return {
    name: 'nodejs-base',
    title: `Add Node.js ${process.version} to it`,
    remedy: 'See the log; where the disk is full, make room and run the same command again.',
    inputs: [process.version],
    files: [],
    needs: [debian],
    async make(target, { log }) {
      const tar = join(target, ROOT_TAR);
      await copyFile(join(resultOf(context, debian), ROOT_TAR), tar);
      const what = ['--owner=0', '--group=0', '--dereference', '-C', dirname(process.execPath), 'node'];
      await context.run('tar', ['--append', '-f', tar, '--transform=s,^node$,usr/local/bin/node,', ...what], { log });
    },
  };
}

const EXCLUDE = ['doc', 'man', 'locale']
  .map((folder) => `--dpkgopt=path-exclude=/usr/share/${folder}/*`)
  .concat('--dpkgopt=path-include=/usr/share/doc/*/copyright');

function debianStep(
  context: Context,
  name: string,
  suite: string,
  packages: readonly string[],
  purpose: string,
): CachedStep {
  return {
    name,
    title: `Make a Debian ${suite} ${purpose}`,
    remedy:
      'The packages come from a Debian mirror: check that `apt-get update` works, then run the same command again.',
    inputs: [suite, ...packages],
    files: [],
    needs: [],
    async make(target, { log, detail }) {
      const args = ['--variant=minbase', `--include=${packages.join(',')}`, ...EXCLUDE, suite, join(target, ROOT_TAR)];
      // Even if it is killed, nothing is left: its mounts are its own, its files lie in the unfinished result.
      const options = { log, onLine: detail, timeout: 1_800_000, env: { TMPDIR: target } };
      await context.run('unshare', ['--mount', 'mmdebstrap', ...args], options);
    },
  };
}
