/** Runs a program in a pod that a test made itself: like a sandbox, but for what the test changed. */

import { randomBytes } from 'node:crypto';
import type { CodeRun } from '../../src/api/coderun.ts';
import { SANDBOX_CLASSES } from '../../src/api/group.ts';
import type { NewPod, Pod } from '../../src/api/object.ts';
import type { SandboxClass } from '../../src/api/sandboxclass.ts';
import { observe } from '../../src/core/observe.ts';
import { CONTAINER, sandboxPod } from '../../src/core/pod.ts';
import { PODS } from '../../src/kube/resources.ts';
import { agentCommand, agentSource } from '../../src/sandbox/agent.ts';
import { Channel } from '../../src/sandbox/channel.ts';
import type { Transcript } from '../../src/sandbox/transcript.ts';
import { eventually, kube } from './support.ts';

const MEMORY = 512 * 2 ** 20;

/** The pod of the class `default` for a run that doesn't exist, without the label that policies select by. */
export async function unlabelledPod(namespace: string): Promise<NewPod> {
  const sandboxClass = await kube.get<SandboxClass>(SANDBOX_CLASSES, undefined, 'default');
  const name = `direct-${randomBytes(4).toString('hex')}`;
  const metadata = { name, namespace, uid: name, resourceVersion: '', creationTimestamp: '' };
  const run = { apiVersion: '', kind: 'CodeRun', metadata, spec: {} } as unknown as CodeRun;
  const pod = sandboxPod({
    run,
    sandboxClass,
    request: { timeoutSeconds: 60, command: undefined, cpu: 1, memory: MEMORY },
    agentCommand: agentCommand(agentSource()),
    pendingTimeoutSeconds: 60,
  });
  pod.metadata = { ...pod.metadata, labels: {}, ownerReferences: [] };
  return pod;
}

/** What the program `code` said in `pod`, which is deleted afterwards. */
export async function runInPod(pod: NewPod, code: string, env: Record<string, string> = {}): Promise<Transcript> {
  const { namespace, name } = pod.metadata;
  await kube.create<Pod>(PODS, pod);
  try {
    await eventually(async () => observe(await kube.get<Pod>(PODS, namespace, name)).state === 'running', 60);
    return await execute(namespace, name, code, env);
  } finally {
    await kube.delete(PODS, namespace, name, { gracePeriodSeconds: 0 });
  }
}

async function execute(namespace: string, pod: string, code: string, env: Record<string, string>): Promise<Transcript> {
  const abort = new AbortController();
  const stream = await kube.attach(namespace, pod, CONTAINER, abort.signal);
  const channel = new Channel(stream, { outputBytes: 65_536, resultBytes: 0 }, () => undefined);
  const reading = channel.read(1);
  try {
    await eventually(async () => channel.hello, 30);
    await channel.send({
      execute: {
        id: pod,
        epoch: 1,
        language: 'python',
        code,
        timeoutSeconds: 60,
        memoryBytes: MEMORY,
        env: Object.entries(env).map(([key, value]) => ({ name: key, value })),
      },
    });
    await eventually(async () => channel.transcript?.exit, 60);
    if (!channel.transcript) throw new Error('a run that has ended has a transcript');
    return channel.transcript;
  } finally {
    channel.close();
    await reading;
  }
}
