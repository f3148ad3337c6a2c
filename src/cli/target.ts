/** Where a command goes: a gateway, or straight to Kubernetes. Flags come before the environment, that before the file. */

import { readFile, stat } from 'node:fs/promises';
import type { Environment } from './environment.ts';
import { CliError, usageError } from './errors.ts';
import { EXIT } from './exit-codes.ts';
import type { Flags, FlagValues } from './flags.ts';

export type Target =
  | { kind: 'gateway'; url: string; apiKey: string | undefined; namespace: string | undefined }
  | { kind: 'kube'; kubeconfig: string | undefined; context: string | undefined; namespace: string | undefined };

export const DEFAULT_URL = 'http://127.0.0.1:8080';

/** Taken by every command. */
export const TARGET_FLAGS: Flags = {
  url: { value: 'URL', help: `the gateway (CODERUN_URL; ${DEFAULT_URL})` },
  'api-key-file': { value: 'FILE', help: 'file with the API key (its text may be in CODERUN_API_KEY)' },
  kube: { help: 'straight to Kubernetes, with the kubeconfig of kubectl' },
  kubeconfig: { value: 'FILE', help: 'another kubeconfig; means --kube' },
  context: { value: 'NAME', help: 'a context of the kubeconfig; means --kube' },
  namespace: { value: 'NAME', short: 'n', help: 'the namespace to work in' },
};

/** What the file may hold; the environment has the same under other names. */
interface Settings {
  url?: string;
  apiKey?: string;
  kube?: boolean;
  context?: string;
  namespace?: string;
}

export async function findTarget(flags: FlagValues, environment: Environment): Promise<Target> {
  flags.exclusive('url', 'kube');
  flags.exclusive('url', 'kubeconfig');
  flags.exclusive('url', 'context');
  const file = await readSettings(environment.configFile);
  const { settings } = environment;
  const namespace = flags.text('namespace') ?? settings['CODERUN_NAMESPACE'] ?? file.namespace;
  const kubeconfig = flags.text('kubeconfig');
  const context = flags.text('context');
  const named = flags.isOn('kube') || kubeconfig !== undefined || context !== undefined;
  const meant = settings['CODERUN_KUBE'] === '1' || (settings['CODERUN_URL'] === undefined && file.kube === true);
  if (named || (meant && flags.text('url') === undefined))
    return { kind: 'kube', kubeconfig, context: context ?? settings['CODERUN_CONTEXT'] ?? file.context, namespace };
  const url = flags.text('url') ?? settings['CODERUN_URL'] ?? file.url ?? DEFAULT_URL;
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? ''))
    throw usageError(`--url: ${JSON.stringify(url)} does not begin with http:// or https://`);
  const keyFile = flags.text('api-key-file');
  const fileKey = keyFile === undefined ? undefined : await readKey(keyFile);
  return { kind: 'gateway', url, apiKey: fileKey ?? settings['CODERUN_API_KEY'] ?? file.apiKey, namespace };
}

async function readKey(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    throw new CliError(EXIT.notFound.code, `--api-key-file: ${path} can't be read; name a file with the key`, error);
  }
}

async function readSettings(path: string): Promise<Settings> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {};
    throw new CliError(EXIT.notFound.code, `${path} can't be read; mend its permissions or remove it`, error);
  }
  const settings = checkSettings(path, text);
  const { mode } = await stat(path);
  if (settings.apiKey !== undefined && (mode & 0o077) !== 0)
    throw new CliError(EXIT.notAllowed.code, `${path} holds an API key and others may read it; chmod 600 ${path}`);
  return settings;
}

const KINDS: Record<keyof Settings, 'string' | 'boolean'> = {
  url: 'string',
  apiKey: 'string',
  kube: 'boolean',
  context: 'string',
  namespace: 'string',
};

function checkSettings(path: string, text: string): Settings {
  const wrong = (what: string) =>
    new CliError(EXIT.usage.code, `${path}: ${what}; it takes ${Object.keys(KINDS).join(', ')}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw wrong('it is not JSON');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw wrong('it is not an object');
  for (const [name, value] of Object.entries(parsed)) {
    if (!Object.hasOwn(KINDS, name)) throw wrong(`${name} is not a setting`);
    if (typeof value !== KINDS[name as keyof Settings])
      throw wrong(`${name} is not a ${KINDS[name as keyof Settings]}`);
  }
  return parsed as Settings;
}
