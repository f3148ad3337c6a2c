/** Brings the cluster up: what has to be built, the engine, the node image, the nodes. */

import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { asStage, type CachedStep, isCurrent } from './cached-step.ts';
import type { Context } from './context.ts';
import { canPull, hasImage, importRoot } from './docker.ts';
import { type Engine, findEngine, isPrivateEngineUp, requireRoot, startPrivateEngine } from './engine.ts';
import { ClusterError } from './errors.ts';
import { goStep } from './go-build.ts';
import { GVISOR, KIND, KUBECTL } from './go-modules.ts';
import { gvisorStage, hasForeignGVisor } from './gvisor.ts';
import { imageSteps, type Situation } from './images.ts';
import { clusterStage } from './kind.ts';
import { inOrder, nodeImageStep } from './node-image.ts';
import { ensurePrograms } from './packages.ts';
import { runStages, type Stage } from './stages.ts';
import { PUBLISHED_NODE_IMAGE } from './versions.ts';

export interface UpOptions {
  /** At least so many nodes; without it one, or as many as a running cluster has. */
  readonly nodes?: number | undefined;
  /** Stages that follow, given what was found out. */
  readonly after?: (situation: () => Situation) => Stage[];
  /** Make the bases of our own images as well. */
  readonly images?: boolean;
}

const PRIVATE_ENGINE = ['dockerd', 'docker', 'runc', 'socat', 'jq', 'ip', 'iptables', 'unshare', 'mount'];
const LOCAL_IMAGES = ['mmdebstrap', 'unshare', 'gcc', 'tar'];
/** Bytes: what everything takes that is built, with the Go compiler's cache. */
const DISK_NEEDED = 15e9;

export async function up(context: Context, options: UpOptions = {}): Promise<Situation> {
  const found = await findEngine(context);
  if (found === undefined) requireRoot(context);
  const published = found !== undefined && (await hasPublishedImage(context, found));
  let situation: Situation | undefined = found && { engine: found, published };
  const known = (): Situation => {
    if (situation === undefined) throw new Error('no engine yet');
    return situation;
  };
  const engineStage = privateEngineStage(context, (engine) => {
    situation = { engine, published };
  });

  const build = buildStages(context, { published, found, images: options.images ?? false });
  const start = [
    gvisorStage(context),
    ...(found?.kind === 'user' ? [] : [engineStage]),
    ...nodeStages(context, known, published, options.nodes),
    ...(options.after?.(known) ?? []),
  ];
  context.progress.expect(build.length + start.length);
  await runStages(context, [...build, ...start]);
  return known();
}

async function hasPublishedImage(context: Context, engine: Engine): Promise<boolean> {
  if (engine.kind === 'private') return false;
  if (await hasImage(context, engine, PUBLISHED_NODE_IMAGE)) return true;
  context.progress.expect(1);
  const pulled = await context.progress.step("Pull kind's node image", () =>
    canPull(context, engine, PUBLISHED_NODE_IMAGE, join(context.paths.logs, 'pull.log')),
  );
  if (!pulled)
    context.progress.say("Docker can't pull it (`npm run cluster -- logs pull` tells why), so it is made here.");
  return pulled;
}

interface BuildSituation {
  readonly published: boolean;
  readonly found: Engine | undefined;
  readonly images: boolean;
}

function buildStages(context: Context, { published, found, images }: BuildSituation): Stage[] {
  const last = published ? [goStep(context, KIND), goStep(context, KUBECTL)] : inOrder(nodeImageStep(context));
  const steps: CachedStep[] = [
    ...last,
    ...(hasForeignGVisor() ? [] : [goStep(context, GVISOR)]),
    ...(images && !published ? imageSteps(context) : []),
  ];
  const programs = ['go', ...(found === undefined ? PRIVATE_ENGINE : ['docker']), ...(published ? [] : LOCAL_IMAGES)];
  return [programsStage(context, programs, steps), ...steps.map((step) => asStage(context, step))];
}

function programsStage(context: Context, programs: readonly string[], steps: readonly CachedStep[]): Stage {
  return {
    title: 'Look for the programs and the disk space that this needs',
    remedy: 'Check that `apt-get update` works, then run the same command again.',
    async run(detail) {
      await ensurePrograms(context, programs, detail);
      const local = programs.includes('mmdebstrap');
      const current = await Promise.all(steps.map((step) => isCurrent(context, step)));
      if (current.every(Boolean)) return;
      if (local && !context.superuser) {
        throw new ClusterError(
          "Docker answers, but can't pull kind's node image, and only root can make one here.",
          `See why \`docker pull ${PUBLISHED_NODE_IMAGE}\` fails, or run the same command as root.`,
        );
      }
      await requireDisk(context);
    },
  };
}

async function requireDisk(context: Context): Promise<void> {
  const { bavail, bsize } = await statfs(context.paths.root);
  if (bavail * bsize >= DISK_NEEDED) return;
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  throw new ClusterError(
    `${context.paths.root} has ${gigabytes(bavail * bsize)} free, and building takes ${gigabytes(DISK_NEEDED)}.`,
    'Make room there, or set CODERUN_CLUSTER_HOME to a folder on a larger disk.',
  );
}

function privateEngineStage(context: Context, started: (engine: Engine) => void): Stage {
  return {
    title: 'Start a private container engine, which no packet leaves',
    remedy: '`npm run cluster -- logs engine` shows what dockerd said.',
    done: async () => (isPrivateEngineUp(context) ? 'already running' : undefined),
    run: async () => started(await startPrivateEngine(context)),
  };
}

function nodeStages(
  context: Context,
  situation: () => Situation,
  published: boolean,
  nodes: number | undefined,
): Stage[] {
  const engine = () => situation().engine;
  if (published) return [clusterStage(context, engine, () => PUBLISHED_NODE_IMAGE, nodes)];
  let image = '';
  const changes = ['ENV container=docker', 'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]'];
  const bring: Stage = {
    title: 'Bring the node image into the engine',
    remedy: 'See the log; where the disk is full, make room and run the same command again.',
    async run() {
      image = await importRoot(
        context,
        engine(),
        nodeImageStep(context),
        join(context.paths.logs, 'engine.log'),
        changes,
      );
    },
  };
  return [bring, clusterStage(context, engine, () => image, nodes)];
}
