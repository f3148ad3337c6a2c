/** A run that has not been started: get it a sandbox, claim it, and only then tell the agent to execute. */

import type { SandboxClass } from '../api/sandboxclass.ts';
import { executeCommand } from './execute.ts';
import type { Plan, WaitingSandbox, World } from './plan.ts';
import { checkRun, type RunRequest } from './request.ts';
import { nextStep, pendingMilliseconds, sandboxStatus, whyPending } from './sandbox-start.ts';
import { runPod } from './sandboxes.ts';
import { cleanUp, finish, waitingStatus } from './status.ts';

/** A run together with what it takes to start it. */
interface Startable extends World {
  sandboxClass: SandboxClass;
  request: RunRequest;
  text: string;
}

export function planStarting(world: World, now: Date): Plan {
  const { run, sandboxClass, code } = world;
  if (run.spec.cancelled) return end(world, now, { reason: 'Cancelled', message: '' });
  const checked = checkRun(run, sandboxClass);
  if ('refusal' in checked) return end(world, now, checked.refusal);
  if ('missing' in code) return end(world, now, { reason: 'InvalidSpec', message: code.missing });
  if (!sandboxClass) throw new Error('a checked run has a class');
  const pending = pendingMilliseconds(world, now);
  const limit = world.settings.pendingTimeoutSeconds * 1000;
  if (pending >= limit) return end(world, now, { reason: 'PendingTooLong', message: whyPending(world) });
  const plan = planSandbox({ ...world, sandboxClass, request: checked.request, text: code.text }, now);
  return { ...plan, after: Math.min(plan.after ?? limit, limit - pending) };
}

/** The program did not run, so nothing is kept of its sandbox. */
export const end = (world: World, now: Date, outcome: Parameters<typeof finish>[2]): Plan => {
  const plan = finish(world, now, outcome);
  return { ...plan, actions: [...cleanUp(world), ...plan.actions.filter(({ type }) => type === 'event')] };
};

function planSandbox(world: Startable, now: Date): Plan {
  const { run, sandboxClass, request, settings } = world;
  const newPod = () => runPod(run, sandboxClass, request, world, settings.pendingTimeoutSeconds);
  const step = nextStep({ ...world, owner: run, newPod }, now);
  if (step.type === 'claim') return claim(world, now, step.sandbox, step.warm);
  if (step.type === 'fail') return end(world, now, { reason: 'SandboxStartFailed', message: step.message });
  const { as, message, actions, keepsOffer, after } = step;
  return {
    ...(as && { status: waitingStatus(world, now, as, message) }),
    actions,
    ...(keepsOffer && { keepsOffer }),
    ...(after !== undefined && { after }),
  };
}

/** The agent answers: this run is written down as running in this very pod, and then it is. */
function claim(world: Startable, now: Date, sandbox: WaitingSandbox, warm: boolean): Plan {
  const { run, sandboxClass, request, text } = world;
  const status = waitingStatus(world, now, 'Running', '', {
    startTime: now.toISOString(),
    queueMilliseconds: Math.max(0, pendingMilliseconds(world, now)),
    sandbox: sandboxStatus(sandboxClass, sandbox, warm),
  });
  const command = executeCommand(run, sandboxClass, request, text, world.epoch);
  return { status, actions: [{ type: 'execute', podUID: sandbox.channel.podUID, command }] };
}
