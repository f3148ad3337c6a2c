/** Sandboxes that wait in a pool and are made another size for whoever asks for one: in place, without a restart. */

import type { Pod } from '../api/object.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import { podLimits } from './pod.ts';
import { amount } from './quantity.ts';
import type { ResourceRequest } from './request.ts';

/** What the container of a sandbox may take, as quantities. */
export interface Limits {
  cpu: string;
  memory: string;
}

export interface Resize {
  limits: Limits;
  /** When the API server was asked for it. */
  askedAt: Date | undefined;
}

/** Longer than any resize takes; a sandbox of its own takes no longer than this and a second. */
const PATIENCE = 2000;

/** Undefined where the pod has that size by now, and the milliseconds that are left for it to get there otherwise. */
export function resizeLeft(pod: Pod, { limits, askedAt }: Resize, now: Date): number | undefined {
  const actual = pod.status?.containerStatuses?.[0]?.resources?.limits;
  if (isOf(actual, limits)) return undefined;
  if (!askedAt) return PATIENCE;
  const isRefused = pod.status?.conditions?.some(
    ({ type, reason }) => type === 'PodResizePending' || (type === 'PodResizeInProgress' && reason === 'Error'),
  );
  return isRefused ? 0 : Math.max(0, askedAt.getTime() + PATIENCE - now.getTime());
}

/** The limits of a pod that a pool's sandbox is to have for `request`; never less memory than it has. */
export function limitsFor(sandboxClass: SandboxClass, { cpu, memory }: ResourceRequest): Limits {
  const usual = amount(sandboxClass.spec.resources.default.memory);
  return podLimits(sandboxClass, { cpu, memory: Math.max(memory, usual) });
}

/** Whether a pod has the size that its pool makes them in. */
export function isUsualSize({ spec }: Pod, sandboxClass: SandboxClass): boolean {
  const { cpu, memory } = sandboxClass.spec.resources.default;
  const usual = podLimits(sandboxClass, { cpu: amount(cpu), memory: amount(memory) });
  const limits = spec.containers[0]?.resources?.limits;
  return limits === undefined || isOf(limits, usual);
}

const isOf = (actual: Record<string, string> | undefined, { cpu, memory }: Limits): boolean =>
  actual !== undefined &&
  amount(actual['cpu'] ?? 0) === amount(cpu) &&
  amount(actual['memory'] ?? 0) === amount(memory);
