/** A list of stages, run one after the other: each says what it is, whether it is done already, and what helps when it fails. */

import type { Context } from './context.ts';
import { ClusterError } from './errors.ts';

export interface Stage {
  readonly title: string;
  /** What the user should do when this stage fails. */
  readonly remedy: string;
  /** Resolves with why there is nothing to do, or with nothing when there is. */
  done?(): Promise<string | undefined>;
  run(detail: (text: string) => void): Promise<void>;
}

/** Runs `stages` in order. How many there are has been announced to `context.progress`. */
export async function runStages(context: Context, stages: readonly Stage[]): Promise<void> {
  for (const stage of stages) {
    context.signal.throwIfAborted();
    await guarded(stage, async () => {
      const why = await stage.done?.();
      if (why !== undefined) context.progress.skip(stage.title, why);
      else await context.progress.step(stage.title, (detail) => stage.run(detail));
    });
  }
}

async function guarded(stage: Stage, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof ClusterError) throw error;
    throw new ClusterError(`${stage.title} did not succeed`, stage.remedy, error);
  }
}
