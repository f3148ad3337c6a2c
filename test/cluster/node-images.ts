/** The images that a node starts with, each a small root file system around a program that we built. */

import { copyFile, mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type CachedStep, resultOf, type StepTools } from './cached-step.ts';
import type { Context } from './context.ts';
import { nodeBaseStep, ROOT_TAR } from './debian.ts';
import { goStep } from './go-build.ts';
import { COREDNS, ETCD, KUBERNETES, NETWORK_POLICIES } from './go-modules.ts';
import { type ImageConfig, writeOciArchive } from './oci-archive.ts';
import * as versions from './versions.ts';

/** In a step's folder: the image, as `ctr images import` takes it. */
export const IMAGE_ARCHIVE = 'image.tar';

export function nodeImageSteps(context: Context): CachedStep[] {
  return [controlPlane(context), proxy(context), dns(context), policies(context), pause(context)];
}

/** API server, controller manager, scheduler and etcd share one image under four names. */
function controlPlane(context: Context): CachedStep {
  const kubernetes = goStep(context, KUBERNETES);
  const etcd = goStep(context, ETCD);
  return imageStep(context, {
    name: 'control-plane',
    needs: [kubernetes, etcd],
    config: { references: versions.CONTROL_PLANE_REFERENCES, path: '/usr/local/bin' },
    fill: async (root) => {
      const bin = join(root, 'usr/local/bin');
      await mkdir(bin, { recursive: true });
      await mkdir(join(root, 'tmp'));
      await copyFile(join(resultOf(context, kubernetes), 'kube'), join(bin, 'kube'));
      await copyFile(join(resultOf(context, etcd), 'etcd'), join(bin, 'etcd'));
      for (const name of ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'])
        await symlink('kube', join(bin, name));
    },
  });
}

/** kube-proxy calls nft and iptables, which the node's Debian has. */
function proxy(context: Context): CachedStep {
  const kubernetes = goStep(context, KUBERNETES);
  const debian = nodeBaseStep(context);
  return imageStep(context, {
    name: 'kube-proxy',
    needs: [kubernetes, debian],
    config: { references: versions.PROXY_REFERENCES },
    fill: async (root, tools) => {
      await context.run('tar', ['-C', root, '-xf', join(resultOf(context, debian), ROOT_TAR)], { log: tools.log });
      await copyFile(join(resultOf(context, kubernetes), 'kube'), join(root, 'usr/local/bin/kube-proxy'));
    },
  });
}

function dns(context: Context): CachedStep {
  const coredns = goStep(context, COREDNS);
  return imageStep(context, {
    name: 'coredns-image',
    needs: [coredns],
    config: { references: versions.COREDNS_REFERENCES, entrypoint: ['/coredns'] },
    fill: async (root) => {
      await copyFile(join(resultOf(context, coredns), 'coredns'), join(root, 'coredns'));
    },
  });
}

function policies(context: Context): CachedStep {
  const agent = goStep(context, NETWORK_POLICIES);
  return imageStep(context, {
    name: 'network-policies-image',
    needs: [agent],
    config: { references: versions.NETWORK_POLICIES_REFERENCES, entrypoint: ['/kube-network-policies'] },
    fill: (root) =>
      copyFile(join(resultOf(context, agent), 'kube-network-policies'), join(root, 'kube-network-policies')),
  });
}

/** Every pod has one of these: in C, since it costs a few kilobytes. */
function pause(context: Context): CachedStep {
  const source = join(context.paths.sources, 'build/pause.c');
  return imageStep(context, {
    name: 'pause',
    needs: [],
    files: [source],
    config: { references: versions.PAUSE_REFERENCES, entrypoint: ['/pause'] },
    fill: async (root, tools) => {
      await context.run('gcc', ['-O2', '-static', '-o', join(root, 'pause'), source], { log: tools.log });
    },
  });
}

interface ImageParts {
  readonly name: string;
  readonly needs: readonly CachedStep[];
  readonly files?: readonly string[];
  readonly config: ImageConfig;
  fill(root: string, tools: StepTools): Promise<void>;
}

function imageStep(context: Context, parts: ImageParts): CachedStep {
  return {
    name: parts.name,
    title: `Make the image ${parts.name.replace(/-image$/, '')}`,
    remedy: 'See the log; where the disk is full, make room and run the same command again.',
    inputs: [JSON.stringify(parts.config)],
    files: [join(context.paths.sources, 'node-images.ts'), ...(parts.files ?? [])],
    needs: parts.needs,
    async make(target, tools) {
      const root = join(target, 'root');
      const tar = join(target, 'root.tar');
      await mkdir(root);
      await parts.fill(root, tools);
      await context.run('tar', ['-C', root, '-cf', tar, '.'], { log: tools.log });
      await writeOciArchive(context, join(target, IMAGE_ARCHIVE), tar, parts.config, tools.log);
      for (const path of [root, tar]) await rm(path, { recursive: true });
    },
  };
}
