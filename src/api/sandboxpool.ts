/** SandboxPool: sandboxes of a class that are started ahead and wait, so that a run starts in milliseconds. */

import { z } from 'zod';
import type { Condition } from './conditions.ts';
import type { ObjectMeta } from './object.ts';
import { ObjectName } from './schema.ts';

export const SandboxPoolSpec = z.strictObject({
  className: ObjectName.describe('Name of the SandboxClass that the sandboxes are of.'),
  replicas: z.int().min(0).max(500).default(1).describe('How many sandboxes wait, ready to be claimed.'),
  maxAgeSeconds: z
    .int()
    .min(60)
    .max(86_400)
    .default(3600)
    .describe('How long a sandbox may wait before it is replaced, in seconds.'),
});

const count = z.int().min(0);

export const SandboxPoolResult = z.strictObject({
  replicas: count.optional().describe('Sandboxes of the pool that are not claimed, ready or starting.'),
  ready: count.optional().describe('Sandboxes that wait, their agent reached.'),
  claimed: count
    .optional()
    .describe('Sandboxes of the pool that a run or a session has claimed, and that are still there.'),
  selector: z.string().max(512).optional().describe('Label selector of the waiting sandboxes, for autoscalers.'),
});

export type SandboxPoolSpec = z.output<typeof SandboxPoolSpec>;
export type SandboxPoolStatus = z.output<typeof SandboxPoolResult> & {
  conditions?: Condition[];
  observedGeneration?: number;
};

export interface SandboxPool {
  apiVersion: string;
  kind: 'SandboxPool';
  metadata: ObjectMeta;
  spec: SandboxPoolSpec;
  status?: SandboxPoolStatus;
}
