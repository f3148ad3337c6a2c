import { describe, expect, test } from 'vitest';
import { SandboxClassSpec } from '../../../src/api/sandboxclass.ts';
import { packageIndexOf, type Service } from '../../../src/core/package-index.ts';
import { aClass, later, T0 } from '../../support/builders.ts';

const URL_OF_OURS = 'http://package-index.coderun-system.svc:8080/simple/';

const aService = (clusterIP?: string): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { ...aClass().metadata, name: 'package-index' },
  spec: { ...(clusterIP && { clusterIP }) },
});

const find = (packageIndexURL: string | undefined, service: Service | undefined, network = 'PackageIndex' as const) =>
  packageIndexOf(
    aClass({ network, ...(packageIndexURL && { packageIndexURL }) }),
    (name) => (name === 'package-index' ? service : undefined),
    T0,
  );

describe('the package index of a class', () => {
  test.each([
    [URL_OF_OURS, '10.96.0.7', 'package-index.coderun-system.svc'],
    [
      'https://package-index.coderun-system.svc.cluster.local',
      'fd00::7',
      'package-index.coderun-system.svc.cluster.local',
    ],
  ])('at %s is told to sandboxes by the address of its Service', (url, ip, hostname) => {
    expect(find(url, aService(ip))).toEqual({ hostAliases: [{ ip, hostnames: [hostname] }] });
  });

  test.each([
    ['at an address', 'http://192.0.2.1:8080/simple/'],
    ['that is not there', undefined],
  ])('%s needs no name', (_title, url) => {
    expect(find(url, undefined)).toEqual({ hostAliases: [] });
  });

  test.each([
    ['does not exist', undefined],
    ['has no address yet', aService()],
    ['is headless', aService('None')],
  ])('holds sandboxes back while its Service %s', (_title, service) => {
    expect(find(URL_OF_OURS, service)).toEqual({
      hostAliases: [],
      refusal: {
        kind: 'passing',
        message:
          'packageIndexURL of SandboxClass "default": there is no Service "package-index" with an address in coderun-system',
        retryAt: later(2),
      },
    });
  });

  test.each(['None', 'Internet'] as const)('is nothing to sandboxes of network %s', (network) => {
    const sandboxClass = aClass({ network, packageIndexURL: URL_OF_OURS });
    expect(packageIndexOf(sandboxClass, () => aService('10.96.0.7'), T0)).toEqual({ hostAliases: [] });
  });

  test('is nothing where there is no class', () => {
    expect(packageIndexOf(undefined, () => undefined, T0)).toEqual({ hostAliases: [] });
  });
});

describe('packageIndexURL', () => {
  const accepts = (network: string, packageIndexURL: string) =>
    SandboxClassSpec.safeParse({ image: 'i', network, packageIndexURL }).success;

  test.each([
    URL_OF_OURS,
    'https://a.coderun-system.svc.cluster.local/simple',
    'http://192.0.2.1',
    'http://[fd00::7]:8080/simple/',
  ])('%s can be found without DNS', (url) => expect(accepts('PackageIndex', url)).toBe(true));

  test.each([
    'https://pypi.org/simple/',
    'http://package-index.elsewhere.svc:8080/simple/',
    'http://package-index.coderun-system:8080/simple/',
    'http://package-index.coderun-system.svc.evil.example/',
    'http://user@package-index.coderun-system.svc/',
    'http://coderun-system.svc/',
    'ftp://192.0.2.1/',
    'http://192.0.2.1/a b',
  ])('%s can not, and is refused', (url) => expect(accepts('PackageIndex', url)).toBe(false));

  test('may be anywhere where names are resolved', () => {
    expect(accepts('Internet', 'https://pypi.org/simple/')).toBe(true);
  });
});
