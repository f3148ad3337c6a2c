/** Takes the cluster down, and the private engine with it. What was built stays, for the next time. */

import { rm } from 'node:fs/promises';
import type { Context } from './context.ts';
import { findEngine, stopPrivateEngine } from './engine.ts';
import { deleteCluster } from './kind.ts';

export async function down(context: Context): Promise<void> {
  const engine = await findEngine(context);
  context.progress.expect(engine === undefined ? 1 : 2);
  if (engine !== undefined) await context.progress.step('Delete the cluster', () => deleteCluster(context, engine));
  // Also where no engine answers: a relay may be left.
  await context.progress.step('End the private engine and its relays', () => stopPrivateEngine(context));
  await rm(context.paths.run, { recursive: true, force: true });
}
