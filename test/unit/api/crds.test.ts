import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { CodeRunSpec, EnvVar, InputFile } from '../../../src/api/coderun.ts';
import { customResourceDefinition } from '../../../src/api/crd.ts';
import { crds } from '../../../src/api/crds.ts';
import { CODE_RUNS } from '../../../src/api/group.ts';
import { PackageRequirement, Quantity, RelativePath } from '../../../src/api/schema.ts';
import { toYaml } from '../../../src/api/yaml.ts';

test.each(Object.entries(crds()))('crds/%s.yaml is what the schemas say; npm run generate writes it', (name, crd) => {
  const committed = readFileSync(new URL(`../../../crds/${name}.yaml`, import.meta.url), 'utf8');
  expect(committed).toBe(toYaml(crd));
});

test('a field without a description makes no CRD', () => {
  const make = () =>
    customResourceDefinition({
      type: CODE_RUNS,
      shortName: 'x',
      description: 'x',
      spec: z.strictObject({ field: z.string() }),
      columns: [],
    });
  expect(make).toThrow('spec.field has no description');
});

describe('the schema of a CodeRun', () => {
  const accepts = (schema: z.ZodType, value: unknown) => schema.safeParse(value).success;

  test.each([
    ['code alone', { code: 'x' }, true],
    ['code from a ConfigMap', { codeFrom: { configMapKeyRef: { name: 'a', key: 'b' } } }, true],
    ['no code', {}, false],
    ['code twice', { code: 'x', codeFrom: { configMapKeyRef: { name: 'a', key: 'b' } } }, false],
    ['a field that does not exist', { code: 'x', image: 'evil' }, false],
    ['a timeout of nothing', { code: 'x', timeoutSeconds: 0 }, false],
    ['a timeout in a text', { code: 'x', timeoutSeconds: '30' }, false],
    ['code of more bytes than characters allow', { code: 'é'.repeat(300_000) }, false],
  ])('takes or refuses %s', (_what, spec, taken) => {
    expect(accepts(CodeRunSpec, spec)).toBe(taken);
  });

  test.each([
    ['data.csv', true],
    ['a/b/c', true],
    ['..hidden', true],
    ['/etc/passwd', false],
    ['../up', false],
    ['a/../../up', false],
    ['a//b', false],
    ['./a', false],
    ['a\0b', false],
    ['', false],
  ])('path %j', (path, taken) => {
    expect(accepts(RelativePath, path)).toBe(taken);
  });

  test.each([
    ['A', true],
    ['PATHS', true],
    ['MY_PYTHON', true],
    ['PATH', false],
    ['LD_PRELOAD', false],
    ['PYTHONPATH', false],
    ['KUBERNETES_SERVICE_HOST', false],
    ['A=B', false],
    ['1A', false],
  ])('environment variable %j', (name, taken) => {
    expect(accepts(EnvVar, { name, value: '' })).toBe(taken);
  });

  test.each([
    ['humanize', true],
    ['humanize==4.9.0', true],
    ['pandas[excel,plot]>=2,<3', true],
    ['git+https://example.org/x', false],
    ['humanize @ https://example.org/x', false],
    ['--index-url=http://evil', false],
    ['../x', false],
    ['x; rm -rf /', false],
    ['-r requirements.txt', false],
    ['a\nb', false],
  ])('package %j', (requirement, taken) => {
    expect(accepts(PackageRequirement, requirement)).toBe(taken);
  });

  test.each([
    ['500m', true],
    [1, true],
    ['512Mi', true],
    ['1e3Gi', false],
    ['-1Mi', false],
    ['٣Mi', false],
    ['', false],
  ])('amount %j', (quantity, taken) => {
    expect(accepts(Quantity, quantity)).toBe(taken);
  });

  test.each([
    [{ path: 'a', content: '' }, true],
    [{ path: 'a', contentBase64: 'YQ==' }, true],
    [{ path: 'a' }, false],
    [{ path: 'a', content: 'a', contentBase64: 'YQ==' }, false],
    [{ path: 'a', contentBase64: '!' }, false],
  ])('file %j', (file, taken) => {
    expect(accepts(InputFile, file)).toBe(taken);
  });
});
