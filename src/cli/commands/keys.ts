/** `coderun keys`: the API keys of a gateway, in the Secret that it reads. What is kept of a key lets nobody in. */

import type { Command, Invocation } from '../command.ts';
import { usageError } from '../errors.ts';
import type { KeyAction, KeyFields } from '../keys/actions.ts';

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
    if (!isAction(action)) throw usageError('say create, list or revoke ID');
    const fields = action === 'create' ? fieldsOf(invocation) : {};
    if (action === 'revoke' ? operands.length === 0 : operands.length > 0)
      throw usageError(
        action === 'revoke' ? 'ID: name the key; coderun keys list shows them' : `keys ${action} takes no names`,
      );
    const { cluster } = await invocation.connect();
    if (!cluster) throw usageError('--kube: keys are in the cluster, and a gateway does not give them out');
    const { ACTIONS } = await import('../keys/actions.ts');
    return ACTIONS[action](invocation, cluster, { operands, fields });
  },
};

const isAction = (text: string): text is KeyAction => ['create', 'list', 'revoke'].includes(text);

function fieldsOf({ flags, io }: Invocation): KeyFields {
  const classes = flags.texts('class');
  const odd = classes.find((name) => !/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name));
  if (odd !== undefined) throw usageError(`--class: ${JSON.stringify(odd)} is not the name of a SandboxClass`);
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
