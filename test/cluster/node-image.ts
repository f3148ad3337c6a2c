/** The image of a kind node, put together from Debian, kind's own files, and the programs and images that we built. */

import { chmod, copyFile, cp, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CachedStep, resultOf, type StepTools } from './cached-step.ts';
import type { Context } from './context.ts';
import { nodeBaseStep, ROOT_TAR } from './debian.ts';
import { goStep, moduleFolder } from './go-build.ts';
import { CONTAINERD, CRI_TOOLS, KIND, KUBERNETES } from './go-modules.ts';
import { IMAGE_ARCHIVE, nodeImageSteps } from './node-images.ts';
import * as versions from './versions.ts';

/** The last step of a node image: its folder holds `root.tar`. */
export function nodeImageStep(context: Context): CachedStep {
  const debian = nodeBaseStep(context);
  const programs = [KUBERNETES, CONTAINERD, CRI_TOOLS, KIND].map((module) => goStep(context, module));
  const images = nodeImageSteps(context);
  return {
    name: 'node-image',
    title: 'Put the node image together',
    remedy: 'See the log; where the disk is full, make room and run the same command again.',
    inputs: [versions.KUBERNETES, versions.KIND],
    files: [join(context.paths.sources, 'node'), join(context.paths.sources, 'node-image.ts')],
    needs: [debian, ...programs, ...images],
    async make(target, tools) {
      const root = join(target, 'root');
      await mkdir(root);
      await context.run('tar', ['-C', root, '-xpf', join(resultOf(context, debian), ROOT_TAR)], { log: tools.log });
      await addKindFiles(context, root, tools);
      await addPrograms(context, root);
      for (const image of images) {
        await copyFile(join(resultOf(context, image), IMAGE_ARCHIVE), join(root, 'kind/images', `${image.name}.tar`));
      }
      await prepare(context, root, tools);
      tools.detail('packing');
      await context.run('tar', ['-C', root, '-cf', join(target, ROOT_TAR), '.'], { log: tools.log });
      await rm(root, { recursive: true });
    },
  };
}

/** Every step that the node image needs, each before those that need it, the node image last. */
export function inOrder(step: CachedStep, seen = new Map<string, CachedStep>()): CachedStep[] {
  for (const needed of step.needs) inOrder(needed, seen);
  if (!seen.has(step.name)) seen.set(step.name, step);
  return [...seen.values()];
}

/** kind's files come out of its Go module, whose files are read-only. */
async function addKindFiles(context: Context, root: string, tools: StepTools): Promise<void> {
  const files = join(await moduleFolder(context, KIND, 'sigs.k8s.io/kind', tools), 'images/base/files');
  for (const folder of ['etc', 'kind', 'usr']) {
    await context.run('cp', ['-r', '--no-preserve=mode', join(files, folder), root], { log: tools.log });
  }
  await cp(join(context.paths.sources, 'node/files'), root, { recursive: true });
  for (const folder of ['kind/images', 'opt/cni/bin', 'etc/kubernetes/manifests', 'etc/cni/net.d', 'usr/local/sbin']) {
    await mkdir(join(root, folder), { recursive: true });
  }
  await writeFile(join(root, 'kind/version'), `v${versions.KUBERNETES}\n`);
}

async function addPrograms(context: Context, root: string): Promise<void> {
  const install = async (step: CachedStep, name: string, folder: string) => {
    await copyFile(join(resultOf(context, step), name), join(root, folder, name));
    await chmod(join(root, folder, name), 0o755);
  };
  for (const name of ['kube', 'kubeadm']) await install(goStep(context, KUBERNETES), name, 'usr/bin');
  for (const { name } of CONTAINERD.programs) await install(goStep(context, CONTAINERD), name, 'usr/local/bin');
  await install(goStep(context, CRI_TOOLS), 'crictl', 'usr/local/bin');
  for (const name of ['kubelet', 'kubectl']) await symlink('kube', join(root, 'usr/bin', name));
  await symlink('/usr/sbin/runc', join(root, 'usr/local/sbin/runc'));
  for (const name of ['ptp', 'host-local', 'loopback', 'portmap']) {
    await copyFile(join(root, 'usr/lib/cni', name), join(root, 'opt/cni/bin', name));
  }
}

async function prepare(context: Context, root: string, tools: StepTools): Promise<void> {
  const script = join(root, 'prepare.sh');
  await copyFile(join(context.paths.sources, 'node/prepare.sh'), script);
  const modes = 'chmod 755 /usr/local/bin/* /kind /kind/bin /kind/bin/* && sh /prepare.sh';
  await context.run('chroot', [root, 'sh', '-ec', modes], { log: tools.log });
  await rm(script);
}
