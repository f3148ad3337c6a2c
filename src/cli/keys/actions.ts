/** What `coderun keys` does to the Secret of the API keys. Loaded with the command, for it brings the gateway's schemas along. */

import type { KubernetesObject } from '../../api/object.ts';
import {
  API_KEYS_SECRET,
  type ApiKeyEntry,
  type ApiKeyFields,
  newKey,
  parseSecret,
  secretData,
} from '../../gateway/auth/keys.ts';
import { isAlreadyExists, isNotFound } from '../../kube/error.ts';
import type { Kube } from '../../kube/port.ts';
import { SECRETS } from '../../kube/resources.ts';
import type { Invocation } from '../command.ts';
import type { Connection } from '../connection.ts';
import { CliError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import { note, write, writeJson } from '../io.ts';
import { table } from '../table.ts';

type Cluster = NonNullable<Connection['cluster']>;

/** What is asked for a new key, beside its namespace. */
export type KeyFields = Omit<ApiKeyFields, 'namespace'>;

export type KeyAction = 'create' | 'list' | 'revoke';

export const ACTIONS: Record<
  KeyAction,
  (invocation: Invocation, cluster: Cluster, given: { operands: string[]; fields: KeyFields }) => Promise<number>
> = {
  async create({ io, flags }, { kube, namespace }, { fields }) {
    const { secretText, entry } = newKey(io.random, { ...fields, namespace });
    await store(kube, secretData(entry));
    await note(io, `key ${entry.id} for the namespace ${namespace}; it is not shown again`);
    await (flags.isOn('json')
      ? writeJson(io, { ...shown(entry), key: secretText })
      : write(io.stdout, `${secretText}\n`));
    return EXIT.ok.code;
  },
  async list({ io, flags }, { kube }) {
    const { entries, invalid } = await read(kube);
    const all = [...entries.values()];
    for (const name of invalid) await note(io, `${name} in the Secret is no key, and lets nobody in`);
    if (flags.isOn('json')) await writeJson(io, all.map(shown));
    else await write(io.stdout, all.length === 0 ? 'There are no keys.\n' : keyTable(all, io.clock.now()));
    return EXIT.ok.code;
  },
  async revoke({ io }, { kube }, { operands }) {
    const { entries, invalid } = await read(kube);
    const unknown = operands.filter((id) => !entries.has(id) && !invalid.includes(id));
    if (unknown.length > 0)
      throw new CliError(EXIT.notFound.code, `ID: there is no key ${unknown.join(', ')}; coderun keys list shows them`);
    await patch(kube, Object.fromEntries(operands.map((id) => [id, null])));
    for (const id of operands) await write(io.stdout, `${id} is revoked\n`);
    return EXIT.ok.code;
  },
};

/** What may be seen of a key. */
const shown = ({ salt: _salt, hash: _hash, ...entry }: ApiKeyEntry) => entry;

function keyTable(entries: readonly ApiKeyEntry[], now: Date): string {
  const rows = entries.map(({ id, namespace, classes, requestsPerMinute, concurrentRuns, expires }) => [
    id,
    namespace,
    classes?.join(',') ?? 'all',
    String(requestsPerMinute ?? ''),
    String(concurrentRuns ?? ''),
    expires === undefined ? 'never' : `${expires}${Date.parse(expires) <= now.getTime() ? ' (over)' : ''}`,
  ]);
  return table(['ID', 'NAMESPACE', 'CLASSES', 'REQUESTS/MIN', 'RUNS', 'EXPIRES'], rows);
}

type SecretObject = KubernetesObject & { data?: Record<string, string> };

async function read(kube: Kube) {
  const { namespace, name } = API_KEYS_SECRET;
  try {
    return parseSecret((await kube.get<SecretObject>(SECRETS, namespace, name)).data);
  } catch (error) {
    if (isNotFound(error)) return parseSecret();
    throw error;
  }
}

/** Adds to the Secret without reading it, so that nothing of another who writes at the same time is lost. */
async function store(kube: Kube, data: Record<string, string>): Promise<void> {
  try {
    await patch(kube, data);
  } catch (error) {
    if (!isNotFound(error)) throw error;
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { ...API_KEYS_SECRET }, type: 'Opaque', data };
    await kube.create(SECRETS, secret).catch((refused: unknown) => {
      if (!isAlreadyExists(refused)) throw refused;
      return patch(kube, data);
    });
  }
}

const patch = (kube: Kube, data: Record<string, string | null>): Promise<SecretObject> =>
  kube.patch<SecretObject>(SECRETS, API_KEYS_SECRET.namespace, API_KEYS_SECRET.name, { data }, { strategy: 'merge' });
