/** The programs that are built from Go modules: what of which module, and how. */

import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CachedStep, StepTools } from './cached-step.ts';
import type { Context } from './context.ts';
import { keepOomScore, queueByXtables } from './patches.ts';
import * as versions from './versions.ts';

interface GoModule {
  /** The name of its step; also its folder below `build/`, unless `folder` names that. */
  readonly name: string;
  readonly folder?: string;
  readonly title: string;
  readonly programs: readonly GoProgram[];
}

interface GoProgram {
  readonly name: string;
  readonly package: string;
  /** Variables that the linker sets. */
  readonly define?: readonly string[];
  /** A file below `vendor/` and how it is changed. Go refuses overlays over its module cache, so the module is vendored. */
  readonly patch?: { readonly file: string; readonly change: (source: string) => string };
}

const kubernetesVersion = [
  `k8s.io/component-base/version.gitVersion=v${versions.KUBERNETES}`,
  'k8s.io/component-base/version.gitMajor=1',
  `k8s.io/component-base/version.gitMinor=${versions.KUBERNETES.split('.')[1]}`,
];
const containerdVersion = [`github.com/containerd/containerd/v2/version.Version=${versions.CONTAINERD}`];

export const KUBERNETES: GoModule = {
  name: 'kubernetes',
  title: `Build Kubernetes ${versions.KUBERNETES}`,
  programs: [
    { name: 'kube', package: '.', define: kubernetesVersion },
    { name: 'kubeadm', package: 'k8s.io/kubernetes/cmd/kubeadm', define: kubernetesVersion },
  ],
};
/** kubectl alone, for where the nodes' Kubernetes comes in a published image. */
export const KUBECTL: GoModule = {
  name: 'kubectl',
  folder: 'kubernetes',
  title: `Build kubectl ${versions.KUBERNETES}`,
  programs: [{ name: 'kubectl', package: 'k8s.io/kubernetes/cmd/kubectl', define: kubernetesVersion }],
};
export const ETCD: GoModule = {
  name: 'etcd',
  title: `Build etcd ${versions.ETCD}`,
  programs: [{ name: 'etcd', package: 'go.etcd.io/etcd/server/v3' }],
};
export const KIND: GoModule = {
  name: 'kind',
  title: `Build kind ${versions.KIND}`,
  programs: [{ name: 'kind', package: 'sigs.k8s.io/kind' }],
};
export const CONTAINERD: GoModule = {
  name: 'containerd',
  title: `Build containerd ${versions.CONTAINERD}`,
  programs: ['containerd', 'ctr', 'containerd-shim-runc-v2'].map((name) => ({
    name,
    package: `github.com/containerd/containerd/v2/cmd/${name}`,
    define: containerdVersion,
  })),
};
export const COREDNS: GoModule = {
  name: 'coredns',
  title: `Build CoreDNS ${versions.COREDNS}`,
  programs: [{ name: 'coredns', package: 'github.com/coredns/coredns' }],
};
export const CRI_TOOLS: GoModule = {
  name: 'crictl',
  title: `Build crictl ${versions.CRI_TOOLS}`,
  programs: [{ name: 'crictl', package: 'sigs.k8s.io/cri-tools/cmd/crictl' }],
};
export const NETWORK_POLICIES: GoModule = {
  name: 'network-policies',
  title: `Build kube-network-policies ${versions.NETWORK_POLICIES}`,
  programs: [
    {
      name: 'kube-network-policies',
      package: 'sigs.k8s.io/kube-network-policies/cmd',
      patch: { file: 'sigs.k8s.io/kube-network-policies/pkg/networkpolicy/controller.go', change: queueByXtables },
    },
  ],
};
export const GVISOR: GoModule = {
  name: 'gvisor',
  title: `Build gVisor ${versions.GVISOR}`,
  programs: [
    {
      name: 'runsc',
      package: 'gvisor.dev/gvisor/runsc',
      define: [`gvisor.dev/gvisor/runsc/version.version=${versions.GVISOR}`],
    },
    {
      name: 'containerd-shim-runsc-v1',
      package: 'gvisor.dev/gvisor/shim',
      patch: { file: 'gvisor.dev/gvisor/pkg/shim/v1/manager.go', change: keepOomScore },
    },
  ],
};

/** The step that builds a module's programs into its folder. */
export function goStep(context: Context, module: GoModule): CachedStep {
  return {
    name: module.name,
    title: module.title,
    remedy:
      'If a download failed or you interrupted it, run the same command again: what is built is kept. Else see the log.',
    inputs: [
      JSON.stringify(module.programs),
      ...module.programs.flatMap((program) => (program.patch ? [program.patch.change.toString()] : [])),
    ],
    files: [sourceOf(context, module)],
    needs: [],
    make: (target, tools) => build(context, module, target, tools),
  };
}

const sourceOf = (context: Context, module: GoModule): string =>
  join(context.paths.sources, 'build', module.folder ?? module.name);

async function build(context: Context, module: GoModule, target: string, tools: StepTools): Promise<void> {
  const work = join(target, '.source');
  await cp(sourceOf(context, module), work, { recursive: true });
  for (const program of module.programs) {
    const mod = program.patch ? 'vendor' : 'readonly';
    if (program.patch) await patchVendored(context, work, program.patch, tools);
    const flags = ['-s', '-w', ...(program.define ?? []).map((value) => `-X ${value}`)].join(' ');
    tools.detail(`go build ${program.package}`);
    await go(
      context,
      work,
      [
        'build',
        `-mod=${mod}`,
        '-buildvcs=false',
        '-trimpath',
        '-ldflags',
        flags,
        '-o',
        join(target, program.name),
        program.package,
      ],
      tools,
    );
  }
  await rm(work, { recursive: true });
}

async function patchVendored(context: Context, work: string, patch: NonNullable<GoProgram['patch']>, tools: StepTools) {
  await go(context, work, ['mod', 'vendor'], tools);
  const file = join(work, 'vendor', patch.file);
  await writeFile(file, patch.change(await readFile(file, 'utf8')));
}

/** Go with nothing of the user's settings that would change what is built. A cold build of Kubernetes takes 5 minutes on two cores. */
function go(context: Context, folder: string, args: readonly string[], tools: StepTools): Promise<string> {
  const env = { CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off', GOTOOLCHAIN: 'auto', GO111MODULE: 'on' };
  return context.run('go', args, { cwd: folder, env, log: tools.log, onLine: tools.detail, timeout: 3_600_000 });
}

/** Where Go keeps the unpacked source of the module in `folder` that has the path `module`. */
export async function moduleFolder(context: Context, folder: string, module: string, log: string): Promise<string> {
  const cwd = join(context.paths.sources, 'build', folder);
  await context.run('go', ['mod', 'download', module], { cwd, log, env: { GOFLAGS: '-mod=readonly' } });
  const found = await context.run('go', ['list', '-m', '-f', '{{.Dir}}', module], {
    cwd,
    env: { GOFLAGS: '-mod=readonly' },
  });
  return found.trim();
}
