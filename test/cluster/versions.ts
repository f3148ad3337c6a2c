/** Every version that the cluster is made of, in one place. The modules' go.mod files must agree: a unit test compares them. */

export const KUBERNETES = '1.37.2';
export const ETCD = '3.7.3';
export const CONTAINERD = '2.4.2';
export const COREDNS = '1.14.6';
export const CRI_TOOLS = '1.36.0';
export const KIND = '0.33.0';
export const NETWORK_POLICIES = '0.8.0';
export const GVISOR = '20260905';
const GVISOR_MODULE = '0.0.0-20260905035102-160fafc42237';

/** Which module of `build/` pins which version, by the module path in its go.mod. */
export const PINNED_MODULES: Readonly<Record<string, { module: string; version: string }>> = {
  kubernetes: { module: 'k8s.io/kubernetes', version: KUBERNETES },
  etcd: { module: 'go.etcd.io/etcd/server/v3', version: ETCD },
  containerd: { module: 'github.com/containerd/containerd/v2', version: CONTAINERD },
  coredns: { module: 'github.com/coredns/coredns', version: COREDNS },
  crictl: { module: 'sigs.k8s.io/cri-tools', version: CRI_TOOLS },
  kind: { module: 'sigs.k8s.io/kind', version: KIND },
  'network-policies': { module: 'sigs.k8s.io/kube-network-policies', version: NETWORK_POLICIES },
  gvisor: { module: 'gvisor.dev/gvisor', version: GVISOR_MODULE },
};

/** The names under which kubeadm and kind look for the images that the node starts with. */
export const CONTROL_PLANE_REFERENCES = [
  `registry.k8s.io/kube-apiserver:v${KUBERNETES}`,
  `registry.k8s.io/kube-controller-manager:v${KUBERNETES}`,
  `registry.k8s.io/kube-scheduler:v${KUBERNETES}`,
  'registry.k8s.io/etcd:3.7.0-0',
];
export const PROXY_REFERENCES = [`registry.k8s.io/kube-proxy:v${KUBERNETES}`];
export const COREDNS_REFERENCES = [`registry.k8s.io/coredns/coredns:v${COREDNS}`];
export const PAUSE_REFERENCES = ['registry.k8s.io/pause:3.10', 'registry.k8s.io/pause:3.10.2'];
export const NETWORK_POLICIES_REFERENCES = ['registry.local/network-policies:dev'];

/** What kind 0.33 runs by default; used where a Docker engine with a way to its registry answers. */
export const PUBLISHED_NODE_IMAGE =
  'kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5';

/** Bases of our images where the registry answers; elsewhere they are made of Debian `IMAGE_SUITE`. */
export const PUBLISHED_PYTHON = 'python:3.12-slim';
export const PUBLISHED_NODE = 'node:24-slim';

/** Newer systemd than bookworm's refuses control groups of version 1. */
export const NODE_SUITE = 'bookworm';
export const IMAGE_SUITE = 'trixie';
/** The Python of `IMAGE_SUITE`: the wheels brought for the sandbox image are for it. */
export const IMAGE_PYTHON = '3.13';

/** Go finds a newer toolchain by itself from this version on. */
export const OLDEST_GO = [1, 21] as const;
