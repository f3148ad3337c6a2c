import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { expect, test } from 'vitest';
import { kindConfig } from '../../cluster/kind-config.ts';

const OWN = readFileSync(join(import.meta.dirname, '../../../kind-config.yaml'), 'utf8');
const USUAL = { apiServer: 6443, gateway: 8080 };

test('one node on the usual ports is kind-config.yaml as it stands', () => {
  expect(load(kindConfig(OWN, 1, USUAL))).toEqual(load(OWN));
});

test('workers have the mounts of the first node, and no ports', () => {
  const { nodes } = load(kindConfig(OWN, 3, USUAL)) as { nodes: Record<string, unknown>[] };
  const mounts = [{ hostPath: '/opt/gvisor', containerPath: '/opt/gvisor', readOnly: true }];
  expect(nodes.slice(1)).toEqual([
    { role: 'worker', extraMounts: mounts },
    { role: 'worker', extraMounts: mounts },
  ]);
});

test('other ports are those of the host alone', () => {
  expect(load(kindConfig(OWN, 1, { apiServer: 16443, gateway: 18080 }))).toMatchObject({
    networking: { apiServerAddress: '127.0.0.1', apiServerPort: 16443 },
    nodes: [{ extraPortMappings: [{ listenAddress: '127.0.0.1', hostPort: 18080, containerPort: 30080 }] }],
  });
});

test('a configuration without nodes is refused', () => {
  expect(() => kindConfig('nodes: []', 1, USUAL)).toThrow('names no node');
});
