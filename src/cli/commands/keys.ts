/** `coderun keys`: the API keys of a gateway, in the Secret that it reads. What is kept of a key lets nobody in. */

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
import type { Command, Invocation } from '../command.ts';
import type { Connection } from '../connection.ts';
import { CliError, usageError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import { note, write, writeJson } from '../io.ts';
import { table } from '../table.ts';

type Cluster = NonNullable<Connection['cluster']>;

export const keys: Command = {
  name: 'keys',
  operands: 'create | list | revoke ID...',
  summary: 'Makes, lists and revokes the API keys of the gateway (--kube)',
  details: `
The gateway sees a change within seconds. A key is shown once, when it is made: what is kept of it is a hash. Everything
that is made with a key is in the namespace that --namespace names. To replace a key, make one and revoke the other.`,
  flags: {
    class: {
      value: 'NAME',
      multiple: true,
      help: 'a SandboxClass that it may use, the first by default; else every class',
    },
    'requests-per-minute': { value: 'N', help: 'how many requests it may send' },
    'concurrent-runs': { value: 'N', help: 'how many of its runs may be unfinished at once' },
    expires: { value: 'WHEN', help: 'when it ends: 90d, 12h or 2027-01-31T00:00:00Z' },
    json: { help: 'as JSON' },
  },
  examples: [
    'kubectl coderun keys create -n team-a --expires 90d --concurrent-runs 20 > team-a.key',
    'kubectl coderun keys list',
    'kubectl coderun keys revoke 0123456789abcdef',
  ],
  async run(invocation) {
    const [action = '', ...operands] = invocation.operands;
    const act = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    if (!act) throw usageError('say create, list or revoke ID');
    const fields = action === 'create' ? fieldsOf(invocation) : {};
    if (action === 'revoke' ? operands.length === 0 : operands.length > 0)
      throw usageError(
        action === 'revoke' ? 'ID: name the key; coderun keys list shows them' : `keys ${action} takes no names`,
      );
    const { cluster } = await invocation.connect();
    if (!cluster) throw usageError('--kube: keys are in the cluster, and a gateway does not give them out');
    return act(invocation, cluster, { operands, fields });
  },
};

type Fields = Omit<ApiKeyFields, 'namespace'>;

const ACTIONS: Record<
  string,
  (invocation: Invocation, cluster: Cluster, given: { operands: string[]; fields: Fields }) => Promise<number>
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

function fieldsOf({ flags, io }: Invocation): Fields {
  const classes = flags.texts('class');
  const requestsPerMinute = flags.integer('requests-per-minute', { min: 1, max: 1_000_000 });
  const concurrentRuns = flags.integer('concurrent-runs', { min: 1, max: 100_000 });
  const when = flags.text('expires');
  return {
    ...(classes.length > 0 && { classes }),
    ...(requestsPerMinute !== undefined && { requestsPerMinute }),
    ...(concurrentRuns !== undefined && { concurrentRuns }),
    ...(when !== undefined && { expires: timeOf(when, io.clock.now()) }),
  };
}

const UNITS: Record<string, number> = { d: 86_400_000, h: 3_600_000, m: 60_000 };

function timeOf(text: string, now: Date): string {
  const [, amount, unit = ''] = /^([0-9]{1,5})([dhm])$/.exec(text) ?? [];
  const time = amount === undefined ? Date.parse(text) : now.getTime() + Number(amount) * (UNITS[unit] ?? 0);
  const isTime = amount !== undefined || /^\d{4}-\d{2}-\d{2}(T[0-9:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(text);
  if (isTime && time > now.getTime()) return new Date(time).toISOString();
  throw usageError(
    `--expires: ${JSON.stringify(text)} is not a time to come, such as 90d, 12h or 2027-01-31T00:00:00Z`,
  );
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
