import { BlockList, isIPv6 } from 'node:net';
import { describe, expect, test } from 'vitest';
import { networkPolicies } from '../../../src/core/network.ts';

const [denyAll, packageIndex, internet] = networkPolicies('n').map(({ metadata, spec }) => ({ ...metadata, ...spec }));

describe('networkPolicies', () => {
  test('takes everything, both ways, from whatever calls itself a sandbox', () => {
    expect(denyAll).toEqual({
      name: 'coderun-deny-all',
      namespace: 'n',
      labels: { 'app.kubernetes.io/managed-by': 'coderun' },
      podSelector: { matchExpressions: [{ key: 'coderun.dev/sandbox', operator: 'Exists' }] },
      policyTypes: ['Ingress', 'Egress'],
    });
  });

  test('gives the mode PackageIndex one service and no resolver', () => {
    expect(packageIndex?.egress).toHaveLength(1);
    expect(JSON.stringify(packageIndex?.egress)).not.toContain('53');
  });

  test('gives nobody anything inwards', () => {
    expect([packageIndex, internet].map((policy) => [policy?.policyTypes, policy?.ingress])).toEqual([
      [['Egress'], undefined],
      [['Egress'], undefined],
    ]);
  });

  test.each([
    ['the metadata service', '169.254.169.254'],
    ['the metadata service over IPv6', 'fd00:ec2::254'],
    ["Alibaba's metadata service", '100.100.100.200'],
    ["Azure's wire server", '168.63.129.16'],
    ["Oracle's older metadata service", '192.0.0.192'],
    ['a private address', '10.96.0.1'],
    ['another private address', '172.31.255.255'],
    ['a third private address', '192.168.0.1'],
    ['itself', '127.0.0.1'],
    ['itself over IPv6', '::1'],
    ['any address', '0.0.0.0'],
    ['a multicast group', '224.0.0.1'],
    ['everybody', '255.255.255.255'],
    ['a link-local address', 'fe80::1'],
    ['a multicast group over IPv6', 'ff02::1'],
    ['a private address by NAT64', '64:ff9b::a00:1'],
    ['a private address by 6to4', '2002:a00:1::'],
    ['a private address by Teredo', '2001:0:a00:1::'],
  ])('keeps the mode Internet from %s (%s)', (_title, address) => {
    expect(reaches(address)).toBe(false);
  });

  test.each(['1.1.1.1', '172.32.0.1', '2606:4700:4700::1111'])('lets the mode Internet reach %s', (address) => {
    expect(reaches(address)).toBe(true);
  });
});

function reaches(address: string): boolean {
  const family = isIPv6(address) ? 'ipv6' : 'ipv4';
  const within = (cidrs: string[]): boolean => {
    const list = new BlockList();
    for (const cidr of cidrs) {
      const [network = '', prefix] = cidr.split('/');
      list.addSubnet(network, Number(prefix), isIPv6(network) ? 'ipv6' : 'ipv4');
    }
    return list.check(address, family);
  };
  const blocks = (internet?.egress ?? []).flatMap(({ to }) => to ?? []).flatMap(({ ipBlock }) => ipBlock ?? []);
  return blocks.some(({ cidr, except = [] }) => within([cidr]) && !within(except));
}
