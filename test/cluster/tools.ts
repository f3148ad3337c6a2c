/** The built programs under the names they are called by, in one folder that goes first on PATH. */

import { existsSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Paths } from './paths.ts';

/** Name on PATH, and the files below `steps/` that may be it: the first that is there is linked. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  // Every program of Kubernetes, told apart by the name it is called by.
  kube: ['kubernetes/kube'],
  'kube-apiserver': ['kubernetes/kube'],
  kubectl: ['kubernetes/kube', 'kubectl/kubectl'],
  kind: ['kind/kind'],
  etcd: ['etcd/etcd'],
};

export function linkTools({ bin, steps }: Paths): void {
  for (const [name, places] of Object.entries(PROGRAMS)) {
    const place = places.map((candidate) => join(steps, candidate)).find((candidate) => existsSync(candidate));
    if (place !== undefined) link(relative(bin, place), join(bin, name));
  }
}

function link(target: string, path: string): void {
  try {
    if (readlinkSync(path) === target) return;
  } catch {
    // There is none yet.
  }
  const part = `${path}.${process.pid}`;
  rmSync(part, { force: true });
  symlinkSync(target, part);
  renameSync(part, path);
}
