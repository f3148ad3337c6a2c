import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { describe, expect, test } from 'vitest';

const SRC = resolve(import.meta.dirname, '../../src');

/** Who may import what: room → the rooms it may read from, beside itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  api: [],
  sandbox: ['api', 'kube/port.ts'],
  core: ['api', 'sandbox'],
  runtime: ['api/object.ts', 'kube/port.ts'],
  kube: ['api', 'runtime'],
  telemetry: ['api', 'runtime'],
  controllers: ['api', 'core', 'runtime', 'kube', 'sandbox', 'telemetry'],
  gateway: ['api', 'kube', 'sandbox', 'telemetry'],
  client: ['api', 'gateway'],
  cli: ['api', 'client', 'gateway', 'kube', 'runtime', 'sandbox/agent.ts'],
  roles: ['api', 'core', 'runtime', 'kube', 'sandbox', 'telemetry', 'controllers', 'gateway', 'config.ts'],
  'config.ts': ['api'],
  'main.ts': ['api', 'roles', 'config.ts'],
};

/** Packages that only one room may use at run time. */
const OWNED_PACKAGES: Record<string, string> = {
  '@kubernetes/client-node': 'kube',
  undici: 'kube',
  ws: 'kube',
  fastify: 'gateway',
  openai: 'gateway',
  pino: 'telemetry',
  'prom-client': 'telemetry',
};

interface Import {
  file: string;
  target: string;
  typeOnly: boolean;
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const sourceOf = (file: string) => readFileSync(join(SRC, file), 'utf8');

const imports: Import[] = files.flatMap((file) =>
  [...sourceOf(file).matchAll(/^(?:import|export)\s(type\s)?[^;]*?from '([^']+)'|await import\('([^']+)'\)/gm)].map(
    (match) => ({
      file,
      target: match[2] ?? match[3] ?? '',
      typeOnly: match[1] !== undefined,
    }),
  ),
);

const roomOf = (path: string): string => path.split(sep)[0] ?? '';

const localTarget = ({ file, target }: Import): string => relative(SRC, resolve(SRC, dirname(file), target));

describe('the layout of src', () => {
  test('every room is named in the table of imports', () => {
    expect([...new Set(files.map(roomOf))].filter((room) => !(room in MAY_IMPORT))).toEqual([]);
  });

  test('no room reads from a room that it must not know', () => {
    const forbidden = imports
      .filter(({ target }) => target.startsWith('.'))
      .map((one) => ({ ...one, path: localTarget(one) }))
      .filter(({ file, path }) => {
        const room = roomOf(file);
        const allowed = [room, ...(MAY_IMPORT[room] ?? [])];
        return !allowed.includes(roomOf(path)) && !allowed.includes(path);
      });
    expect(forbidden.map(({ file, target }) => `${file} imports ${target}`)).toEqual([]);
  });

  test('a package that one room is there for is used by no other', () => {
    const strays = imports.filter(({ file, target, typeOnly }) => {
      const owner = OWNED_PACKAGES[target];
      return !typeOnly && owner !== undefined && roomOf(file) !== owner;
    });
    expect(strays.map(({ file, target }) => `${file} imports ${target}`)).toEqual([]);
  });

  test('the client brings nothing of the gateway along but types', () => {
    const heavy = imports.filter(
      (one) => roomOf(one.file) === 'client' && !one.typeOnly && roomOf(localTarget(one)) !== 'client',
    );
    expect(heavy.map(({ file, target }) => `${file} imports ${target}`)).toEqual([]);
  });

  test.each([
    ['reads the environment', /process\.env\b/, ['config.ts', join('cli', 'environment.ts')]],
    ['ends the process', /process\.exit\b/, ['main.ts', join('cli', 'main.ts')]],
    [
      'reads the clock or sets a timer',
      /\bDate\.now\(|(?<!\.)\bset(?:Timeout|Interval)\(|new Date\(\)/,
      [join('runtime', 'clock.ts')],
    ],
  ])('only one file %s', (_what, pattern, allowed) => {
    const code = (file: string) => sourceOf(file).replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    expect(files.filter((file) => pattern.test(code(file)) && !allowed.includes(file))).toEqual([]);
  });
});
