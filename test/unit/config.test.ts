import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { describeSettings, loadConfig } from '../../src/config.ts';
import { configurationPage } from '../support/configuration.ts';

test('an empty environment is a valid one', () => {
  expect(loadConfig({})).toMatchObject({ CODERUN_HEALTH_PORT: 8081, CODERUN_PENDING_TIMEOUT_SECONDS: 300 });
});

test('an empty variable is one that is not set', () => {
  expect(loadConfig({ CODERUN_ANONYMOUS_NAMESPACE: '' }).CODERUN_ANONYMOUS_NAMESPACE).toBeUndefined();
});

test('every variable that is wrong is named', () => {
  const load = () => loadConfig({ CODERUN_WORKERS: 'many', CODERUN_LOG_LEVEL: 'loud' });
  expect(load).toThrow(/CODERUN_LOG_LEVEL.*CODERUN_WORKERS/);
});

test('docs/configuration.md lists every setting as it is; npm run generate writes it', () => {
  expect(readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8')).toBe(configurationPage());
});

test('every setting says what it means', () => {
  expect(describeSettings().filter(({ meaning }) => !meaning)).toEqual([]);
});
