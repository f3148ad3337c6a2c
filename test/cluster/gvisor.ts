/** gVisor in /opt/gvisor, where kind-config.yaml mounts it from: the user's own release if it is there, else ours, built from its Go module. */

import { existsSync, readFileSync } from 'node:fs';
import { chmod, copyFile, mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hashOfStep, resultOf } from './cached-step.ts';
import type { Context } from './context.ts';
import { goStep } from './go-build.ts';
import { GVISOR } from './go-modules.ts';
import type { Stage } from './stages.ts';

const GVISOR_FOLDER = '/opt/gvisor';
const STAMP = join(GVISOR_FOLDER, '.built-from');
const PROGRAMS = ['runsc', 'containerd-shim-runsc-v1'];
const CONFIGURATIONS = ['runsc.toml', 'runsc-nonet.toml'];

/** A release that somebody else has put there stays as it is. */
export const hasForeignGVisor = (): boolean =>
  !existsSync(STAMP) && PROGRAMS.every((program) => existsSync(join(GVISOR_FOLDER, program)));

export function gvisorStage(context: Context): Stage {
  const step = goStep(context, GVISOR);
  return {
    title: `Put gVisor into ${GVISOR_FOLDER}`,
    remedy: `This writes to ${GVISOR_FOLDER}: run it as root once, or make that folder and give it to this user.`,
    async done() {
      if (CONFIGURATIONS.some((name) => !existsSync(join(GVISOR_FOLDER, name)))) return undefined;
      if (hasForeignGVisor()) return 'already there, and not put there by us: left as it is';
      return existsSync(STAMP) && readFileSync(STAMP, 'utf8') === (await hashOfStep(step))
        ? 'already there'
        : undefined;
    },
    async run() {
      await mkdir(GVISOR_FOLDER, { recursive: true });
      for (const name of CONFIGURATIONS) await replaceFile(join(context.paths.sources, 'gvisor', name), name, 0o644);
      if (hasForeignGVisor()) return;
      await writeFile(STAMP, ''); // From now on it is ours, also if this breaks off.
      for (const name of PROGRAMS) await replaceFile(join(resultOf(context, step), name), name, 0o755);
      await writeFile(STAMP, await hashOfStep(step));
    },
  };
}

/** Running sandboxes keep the file they were started from. */
async function replaceFile(source: string, name: string, mode: number): Promise<void> {
  const part = join(GVISOR_FOLDER, `.${name}.part`);
  await copyFile(source, part);
  await chmod(part, mode);
  await rename(part, join(GVISOR_FOLDER, name));
}
