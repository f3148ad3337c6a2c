/** Packages of a session, from the index that its class names. */

import { z } from 'zod';
import { ANNOTATION_DEFAULT_CLASS, SANDBOX_CLASSES } from '../api/group.ts';
import type { ReplSession } from '../api/replsession.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import { PackageRequirement } from '../api/schema.ts';
import { isNotFound } from '../kube/error.ts';
import type { Kube } from '../kube/port.ts';
import { BridgeBroken, BridgeFailed } from '../sandbox/bridge.ts';
import type { GatewayDeps } from './deps.ts';
import { Problem } from './problem.ts';
import { type Tell, withBridge } from './session-calls.ts';
import { failureProblem, unknownState } from './session-problem.ts';
import { queuedCall } from './session-queue.ts';
import type { ReadySession } from './session-store.ts';

export const InstallPackages = z
  .strictObject({
    packages: z
      .array(PackageRequirement)
      .min(1)
      .max(32)
      .describe('Python packages by name, extras and versions, such as humanize==4.9.0; up to 32.'),
    timeoutSeconds: z.int().min(1).max(3600).default(300).describe('How long the installation may take, in seconds.'),
  })
  .meta({ id: 'InstallPackages', examples: [{ packages: ['humanize==4.9.0'] }] });
export type InstallPackages = z.output<typeof InstallPackages>;

export const InstalledPackages = z
  .strictObject({
    packages: z
      .array(
        z.strictObject({
          name: z.string().describe('What was asked for.'),
          version: z.string().nullable().describe('The version that is installed now; null where none could be.'),
          message: z.string().describe('Why it could not be installed; empty where it could.'),
        }),
      )
      .describe('One entry a package.'),
  })
  .meta({ id: 'InstalledPackages', description: 'What became of each package.' });
export type InstalledPackages = z.output<typeof InstalledPackages>;

export async function installPackages(
  deps: GatewayDeps,
  ready: ReadySession,
  { packages, timeoutSeconds }: InstallPackages,
  { signal, tell = () => undefined }: { signal: AbortSignal; tell?: Tell },
): Promise<InstalledPackages> {
  const packageIndexURL = await indexOf(deps.kube, ready.session);
  const command = { install: { packages, packageIndexURL, timeoutSeconds } };
  try {
    const done = await withBridge(deps, ready, signal, (bridge) =>
      queuedCall(deps, ready.session, bridge, command, { timeoutSeconds, detach: false, signal, tell }),
    );
    return { packages: done.packages ?? [] };
  } catch (error) {
    if (error instanceof BridgeFailed) throw failureProblem(error);
    if (error instanceof BridgeBroken) throw unknownState(error);
    throw error;
  }
}

/** The index of the class of a session. Throws a `Problem` where it has none. */
async function indexOf(kube: Kube, { spec, status }: ReplSession): Promise<string> {
  const sandboxClass = await classOf(kube, spec.className);
  const { network, packageIndexURL } = sandboxClass?.spec ?? {};
  if (packageIndexURL && network === 'PackageIndex' && (status?.sandbox?.network ?? network) === network)
    return packageIndexURL;
  const name = sandboxClass ? `SandboxClass "${sandboxClass.metadata.name}"` : 'its SandboxClass';
  throw new Problem(
    'PackagesNotOffered',
    `The sandbox of this session reaches no package index. Create a session with the className of one that does; ` +
      `the administrator makes ${name} one by network: PackageIndex and packageIndexURL.`,
  );
}

/** The class of that name, or the newest that is marked as default. */
async function classOf(kube: Kube, name: string | undefined): Promise<SandboxClass | undefined> {
  if (name !== undefined) {
    try {
      return await kube.get<SandboxClass>(SANDBOX_CLASSES, undefined, name);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }
  const { items } = await kube.list<SandboxClass>(SANDBOX_CLASSES);
  const created = ({ metadata }: SandboxClass) => metadata.creationTimestamp;
  return items
    .filter(({ metadata }) => metadata.annotations?.[ANNOTATION_DEFAULT_CLASS] === 'true')
    .sort((a, b) => created(b).localeCompare(created(a)))[0];
}
