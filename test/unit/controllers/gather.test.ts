import { expect, test } from 'vitest';
import { indexOf } from '../../../src/controllers/gather.ts';
import { createStores } from '../../../src/roles/stores.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { aClass, T0 } from '../../support/builders.ts';

test('a class finds its package index in coderun-system, whoever else has a Service of that name', () => {
  const stores = createStores(createLogger('test', 'error'));
  const service = (namespace: string, clusterIP: string) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { ...aClass().metadata, name: 'index', namespace },
    spec: { clusterIP },
  });
  stores.services.replace([service('tenant', '10.96.0.6'), service('coderun-system', '10.96.0.7')], '100', {
    consistent: true,
  });
  const packageIndexURL = 'http://index.coderun-system.svc:8080/simple/';
  expect(indexOf(stores, aClass({ network: 'PackageIndex', packageIndexURL }), T0)).toEqual({
    hostAliases: [{ ip: '10.96.0.7', hostnames: ['index.coderun-system.svc'] }],
  });
});
