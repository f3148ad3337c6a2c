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
export const succeededCondition = (
  reason: Reason,
  message: string,
  generation: number,
  now: Date,
  previous: Condition | undefined,
): Condition =>
  condition(
    'Succeeded',
    REASONS[reason].succeeded,
    reason,
    message || REASONS[reason].sentence,
    generation,
    now,
    previous,
  );

/** The condition `Ready` of something that stays. */
export const readyCondition = (
  isReady: boolean,
  reason: string,
  message: string,
  generation: number,
  now: Date,
  previous: Condition | undefined,
): Condition => condition('Ready', isReady ? 'True' : 'False', reason, message, generation, now, previous);

/** Any condition; keeps the transition time of `previous` where the status stays. */
export function condition(
  type: string,
  status: Condition['status'],
  reason: string,
  message: string,
  observedGeneration: number,
  now: Date,
  previous: Condition | undefined,
): Condition {
  const since = previous?.status === status ? previous.lastTransitionTime : undefined;
  const lastTransitionTime = since ?? now.toISOString().replace(/\.\d+Z$/, 'Z');
  return { type, status, reason, message, observedGeneration, lastTransitionTime };
}

export const findCondition = (conditions: readonly Condition[] | undefined, type: string): Condition | undefined =>
  conditions?.find((condition) => condition.type === type);
