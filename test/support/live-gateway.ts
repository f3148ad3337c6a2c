/** The gateway of `aWorld` on a port of 127.0.0.1, and a client of it; its runs end as a test says. */

import type { AddressInfo } from 'node:net';
import { vi } from 'vitest';
import type { CodeRun, CodeRunStatus } from '../../src/api/coderun.ts';
import { succeededCondition } from '../../src/api/conditions.ts';
import { CODE_RUNS } from '../../src/api/group.ts';
import type { Reason } from '../../src/api/reasons.ts';
import { Coderun } from '../../src/client/index.ts';
import { aWorld, type WorldOptions } from './gateway-world.ts';

export interface Ending {
  reason: Reason;
  status?: CodeRunStatus;
}

/** What becomes of a run as soon as it is there; undefined leaves it as it is. */
export type Controller = (run: CodeRun) => Ending | undefined;

export async function aLiveGateway(controller: Controller = () => undefined, options: WorldOptions = {}) {
  const world = aWorld(options);
  const seen = new Set<string>();
  const act = async (): Promise<void> => {
    for (const run of world.allRuns()) {
      if (run.status?.conditions?.some(({ status }) => status !== 'Unknown') || seen.has(run.metadata.uid)) continue;
      const ending = controller(run);
      if (!ending) continue;
      seen.add(run.metadata.uid);
      const condition = succeededCondition(ending.reason, '', 1, new Date(0), undefined);
      await world.kube.replaceStatus(CODE_RUNS, { ...run, status: { ...ending.status, conditions: [condition] } });
    }
  };
  // Not within the write itself: who wrote sees the object as it was then.
  world.kube.onWrite(() => void setImmediate(() => void act()));
  await world.app.listen({ host: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${(world.app.server.address() as AddressInfo).port}`;
  return {
    ...world,
    url,
    client: new Coderun({ baseUrl: url }),
    /** For as long as answers take that come over real sockets. */
    until,
    [Symbol.asyncDispose]: async () => {
      world.app.server.closeAllConnections();
      await world.app.close();
    },
  };
}

/** Every run prints `stdout` and ends well. */
export const completes =
  (stdout = '', status: CodeRunStatus = {}): Controller =>
  () => ({ reason: 'Completed', status: { exitCode: 0, stdout, stderr: '', ...status } });

/** Resolves as soon as `condition` holds. */
export const until = (condition: () => boolean): Promise<void> =>
  vi.waitFor(
    () => {
      if (!condition()) throw new Error('what was waited for never came');
    },
    { timeout: 10_000, interval: 5 },
  );
