/** Conditions as Kubernetes means them: computed whole, and their time moves only when their status does. */

import { REASONS, type Reason } from './reasons.ts';

export interface Condition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason: string;
  message: string;
  observedGeneration: number;
  /** RFC 3339, to the second. */
  lastTransitionTime: string;
}

/** The condition `Succeeded` for `reason`; keeps the transition time of `previous` where the status stays. */
export function succeededCondition(
  reason: Reason,
  message: string,
  generation: number,
  now: Date,
  previous: Condition | undefined,
): Condition {
  const status = REASONS[reason].succeeded;
  const since = previous?.status === status ? previous.lastTransitionTime : undefined;
  return {
    type: 'Succeeded',
    status,
    reason,
    message: message || REASONS[reason].sentence,
    observedGeneration: generation,
    lastTransitionTime: since ?? now.toISOString().replace(/\.\d+Z$/, 'Z'),
  };
}

export const findCondition = (conditions: readonly Condition[] | undefined, type: string): Condition | undefined =>
  conditions?.find((condition) => condition.type === type);
