import { expect, test } from 'vitest';
import { PODS } from '../../src/kube/resources.ts';
import { eventually, isFinished, kube, until } from '../e2e/support.ts';
import type { Message, When } from '../support/fault-rules.ts';
import {
  aboutRun,
  begin,
  controller,
  endState,
  executionsOf,
  expectNothingLeft,
  LIVES,
  newName,
  poolIsFull,
} from './support.ts';

const { proxy } = controller;

interface Stage {
  life: 'cold' | 'warm';
  stage: string;
  when: When;
  at: (message: Message) => boolean;
  ends: readonly string[];
}

const isPut =
  (word: string) =>
  ({ method, resource, body }: Message) =>
    method === 'PUT' && resource === 'coderuns' && body.includes(`"reason":"${word}"`);
const isOrder = ({ method, body }: Message): boolean => method === 'STDIN' && body.startsWith('{"execute"');
const isCreation = ({ method, resource }: Message): boolean => method === 'POST' && resource === 'pods';

const AS_EVER = ['Completed'];
/** Nobody can know how far the program came. */
const LOST = ['SandboxLost'];

const STAGES: readonly Stage[] = [
  { life: 'cold', stage: 'as soon as it is created', when: 'after', at: isCreation, ends: AS_EVER },
  { life: 'cold', stage: 'before the claim', when: 'before', at: isPut('Running'), ends: LOST },
  { life: 'warm', stage: 'before the claim', when: 'before', at: isPut('Running'), ends: LOST },
  { life: 'cold', stage: 'after the claim', when: 'after', at: isPut('Running'), ends: LOST },
  { life: 'warm', stage: 'after the claim', when: 'after', at: isPut('Running'), ends: LOST },
  { life: 'cold', stage: 'in mid run', when: 'after', at: isOrder, ends: LOST },
  { life: 'warm', stage: 'in mid run', when: 'after', at: isOrder, ends: LOST },
  { life: 'cold', stage: 'after the exit', when: 'before', at: isPut('Completed'), ends: AS_EVER },
  { life: 'warm', stage: 'after the exit', when: 'before', at: isPut('Completed'), ends: AS_EVER },
];

test.each(STAGES)(
  'a $life run whose pod is deleted $stage ends, and is not run twice',
  async ({ life, when, at, ends }) => {
    await poolIsFull();
    const name = newName();
    const isAboutRun = aboutRun(name);
    const program = LIVES[life].program.replace('sleep(0.3)', 'sleep(3)');
    let podName = '';
    const match = (message: Message) => {
      if (!isAboutRun(message)) return false;
      const body = message.resource === 'coderuns' && message.body ? JSON.parse(message.body) : {};
      podName = body.status?.sandbox?.podName ?? podName;
      return at(message);
    };
    const deletePod = async () => {
      const run = await created;
      if (at === isOrder) await eventually(async () => executionsOf(LIVES[life], run) > 0);
      await kube.delete(PODS, run.metadata.namespace, podName, { gracePeriodSeconds: 0 });
      return undefined;
    };
    proxy.add({ match, times: 1, fault: { type: 'call', when, call: deletePod } });
    const created = begin({ ...LIVES[life], program }, name);
    const ended = await until(await created, isFinished, 90);
    expect(ends).toContain(endState(ended).reason);
    await expectNothingLeft([ended]);
    expect(executionsOf(LIVES[life], ended)).toBeLessThanOrEqual(1);
    proxy.heal();
  },
);
