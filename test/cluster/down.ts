/** Takes the cluster down, and the private engine with it. What was built stays, for the next time. */

import { rm } from 'node:fs/promises';
import type { Context } from './context.ts';
import { findEngine, stopPrivateEngine } from './engine.ts';
import { deleteCluster } from './kind.ts';
import { rememberedProcesses } from './processes.ts';

export async function down(context: Context): Promise<void> {
  const { progress, paths } = context;
  const engine = await findEngine(context);
  // Also where no engine answers: a relay may be left.
  const ours = rememberedProcesses(paths.run).length > 0;
  progress.expect((engine === undefined ? 0 : 1) + (ours ? 1 : 0));
  if (engine !== undefined) await progress.step('Delete the cluster', () => deleteCluster(context, engine));
  if (ours) await progress.step('End the private engine and its relays', () => stopPrivateEngine(context));
  await rm(paths.run, { recursive: true, force: true });
  progress.say(`The cluster is down. What was built is kept in ${paths.root}`);
}
