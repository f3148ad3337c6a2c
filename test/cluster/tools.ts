/** The built programs under the names they are called by, in one folder that goes first on PATH. */

import { existsSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Context } from './context.ts';

/** Name on PATH, and the file below `steps/`, the first of which is there. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  kube: ['kubernetes/kube'],
  'kube-apiserver': ['kubernetes/kube'],
  kubectl: ['kubernetes/kube', 'kubectl/kubectl'],
  kind: ['kind/kind'],
  etcd: ['etcd/etcd'],
};

export function linkTools(context: Context): void {
  const { bin, steps } = context.paths;
  for (const [name, places] of Object.entries(PROGRAMS)) {
    const place = places.map((candidate) => join(steps, candidate)).find((candidate) => existsSync(candidate));
    if (place === undefined) continue;
    const part = join(bin, `.${name}.part`);
    rmSync(part, { force: true });
    symlinkSync(relative(bin, place), part);
    renameSync(part, join(bin, name));
  }
}
