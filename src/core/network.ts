/** What sandboxes reach, by network mode: the NetworkPolicies that a namespace has before its first sandbox. */

import type { V1NetworkPolicySpec } from '@kubernetes/client-node';
import { LABEL_MANAGED_BY, LABEL_NETWORK, LABEL_SANDBOX, MANAGER, SYSTEM_NAMESPACE } from '../api/group.ts';
import type { NetworkMode } from '../api/sandboxclass.ts';

export interface NewNetworkPolicy {
  apiVersion: 'networking.k8s.io/v1';
  kind: 'NetworkPolicy';
  metadata: { name: string; namespace: string; labels: Record<string, string> };
  spec: V1NetworkPolicySpec;
}

/**
 * The three policies of `namespace`. The first takes everything from every sandbox, whatever its mode says; the others
 * give back. deploy/base ships the same for the sandbox namespace.
 */
export function networkPolicies(namespace: string): NewNetworkPolicy[] {
  return [
    policy(namespace, 'coderun-deny-all', {
      podSelector: { matchExpressions: [{ key: LABEL_SANDBOX, operator: 'Exists' }] },
      policyTypes: ['Ingress', 'Egress'],
    }),
    policy(namespace, 'coderun-packageindex', {
      podSelector: sandboxesWith('PackageIndex'),
      policyTypes: ['Egress'],
      // No DNS: a resolver that forwards is a way out.
      egress: [
        {
          to: [podsOf(SYSTEM_NAMESPACE, { 'app.kubernetes.io/name': 'package-index' })],
          ports: [{ protocol: 'TCP', port: 8080 }],
        },
      ],
    }),
    policy(namespace, 'coderun-internet', {
      podSelector: sandboxesWith('Internet'),
      policyTypes: ['Egress'],
      egress: [
        {
          to: [
            {
              ipBlock: {
                cidr: '0.0.0.0/0',
                except: [
                  '0.0.0.0/8',
                  '10.0.0.0/8',
                  '100.64.0.0/10',
                  '127.0.0.0/8',
                  // A service of Azure's that only its virtual machines may ask, on a public address.
                  '168.63.129.16/32',
                  '169.254.0.0/16',
                  '172.16.0.0/12',
                  '192.0.0.0/24',
                  '192.168.0.0/16',
                  '198.18.0.0/15',
                  '224.0.0.0/4',
                  '240.0.0.0/4',
                ],
              },
            },
            // Private, link-local, loopback, IPv4-mapped and NAT64 addresses lie outside of 2000::/3; Teredo and 6to4,
            // which lead back to IPv4, inside.
            { ipBlock: { cidr: '2000::/3', except: ['2001::/32', '2002::/16'] } },
          ],
        },
        {
          to: [podsOf('kube-system', { 'k8s-app': 'kube-dns' })],
          ports: [
            { protocol: 'UDP', port: 53 },
            { protocol: 'TCP', port: 53 },
          ],
        },
      ],
    }),
  ];
}

const policy = (namespace: string, name: string, spec: V1NetworkPolicySpec): NewNetworkPolicy => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name, namespace, labels: { [LABEL_MANAGED_BY]: MANAGER } },
  spec,
});

const sandboxesWith = (mode: NetworkMode) => ({ matchLabels: { [LABEL_SANDBOX]: 'true', [LABEL_NETWORK]: mode } });

const podsOf = (namespace: string, labels: Record<string, string>) => ({
  namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
  podSelector: { matchLabels: labels },
});
