/** The programs that are built from Go modules: what of which module, and how. */

import { keepOomScore, queueByXtables } from './patches.ts';
import * as versions from './versions.ts';

export interface GoModule {
  /** The name of its step; also its folder below `build/`, unless `folder` names that. */
  readonly name: string;
  readonly folder?: string;
  readonly title: string;
  readonly programs: readonly GoProgram[];
}

export interface GoProgram {
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
