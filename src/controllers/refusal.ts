/** What a refused creation of a pod means, and when it is worth another try. */

import type { PodRefusal } from '../core/plan.ts';
import { isForbidden, isInvalid, isQuotaExceeded, KubeError } from '../kube/error.ts';
import { ForeignPolicyError } from './network.ts';

const FIRST_RETRY = 500;
const QUOTA_RETRY = 5000;
const LONGEST_RETRY = 30_000;

/** The refusal that `error` is, after so many failures before; undefined where the API server did not refuse. */
export function refusalOf(error: unknown, failures: number, now: Date): PodRefusal | undefined {
  const kind = kindOf(error);
  if (!kind || !(error instanceof Error)) return undefined;
  const first = kind === 'quota' ? QUOTA_RETRY : FIRST_RETRY;
  const wait = Math.min(LONGEST_RETRY, first * 2 ** failures);
  return { kind, message: error.message.slice(0, 1024), retryAt: new Date(now.getTime() + wait) };
}

function kindOf(error: unknown): PodRefusal['kind'] | undefined {
  if (error instanceof ForeignPolicyError) return 'final';
  if (!(error instanceof KubeError)) return undefined;
  if (isQuotaExceeded(error)) return 'quota';
  // A namespace that was just made gets its service account a moment later.
  if (/serviceaccount .* not found/.test(error.message)) return 'passing';
  return isInvalid(error) || isForbidden(error) ? 'final' : 'passing';
}
