/** Programs that Debian packages bring: installed where root may, else named. */

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Context } from './context.ts';
import { ClusterError } from './errors.ts';
import { OLDEST_GO } from './versions.ts';

/** The Debian package of each program that may be called. */
const PACKAGE_OF: Readonly<Record<string, string>> = {
  dockerd: 'docker.io',
  docker: 'docker.io',
  runc: 'runc',
  mmdebstrap: 'mmdebstrap',
  socat: 'socat',
  jq: 'jq',
  ip: 'iproute2',
  iptables: 'iptables',
  gcc: 'gcc',
  go: 'golang-go',
  tar: 'tar',
  unshare: 'util-linux',
  mount: 'mount',
};

export const find = (context: Context, program: string): string | undefined =>
  (context.environment['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, program))
    .find((path) => existsSync(path));

/** Makes sure that `programs` are there. gcc comes with the C library's static archive, which the pause program links. */
export async function ensurePrograms(context: Context, programs: readonly string[], detail: (text: string) => void) {
  const missing = programs.filter((program) => find(context, program) === undefined);
  if (missing.length > 0) await installPackages(context, packagesFor(missing), detail);
  if (programs.includes('go')) await requireGo(context);
}

export const packagesFor = (programs: readonly string[]): string[] => [
  ...new Set(
    programs.flatMap((program) => [PACKAGE_OF[program] ?? program, ...(program === 'gcc' ? ['libc6-dev'] : [])]),
  ),
];

export async function installPackages(context: Context, packages: readonly string[], detail: (text: string) => void) {
  const command = `apt-get install ${packages.join(' ')}`;
  if (!context.superuser || find(context, 'apt-get') === undefined) {
    throw new ClusterError(
      `These Debian packages are needed and not installed: ${packages.join(' ')}.`,
      `As root: ${command}`,
    );
  }
  context.progress.say(`Installing Debian packages: ${packages.join(' ')}`);
  const options = {
    log: join(context.paths.logs, 'packages.log'),
    env: { DEBIAN_FRONTEND: 'noninteractive' },
    onLine: detail,
  };
  await context.run('apt-get', ['update'], options);
  await context.run('apt-get', ['install', '--yes', ...packages], options);
}

async function requireGo(context: Context): Promise<void> {
  const version = await context.run('go', ['version'], { env: { GOTOOLCHAIN: 'local' } });
  const [, major = 0, minor = 0] = (/go(\d+)\.(\d+)/.exec(version) ?? []).map(Number);
  const [oldestMajor, oldestMinor] = OLDEST_GO;
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return;
  throw new ClusterError(
    `Go ${OLDEST_GO.join('.')} or newer is needed, and here is: ${version.trim()}.`,
    'Install a newer Go (https://go.dev/dl) and put its bin folder first on PATH.',
  );
}
