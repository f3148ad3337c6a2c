import { describe, expect, test } from 'vitest';
import { containerOf, directPod, runPod } from './direct.ts';
import { newNamespace, runToEnd } from './support.ts';

const namespace = await newNamespace();

describe('memory', () => {
  const greedy = 'import mmap\nm = mmap.mmap(-1, 2 << 30)\nfor i in range(0, 2 << 30, 4096): m[i] = 1\nprint("had it")';

  test('beyond the limit ends the program as OutOfMemory, however it is taken', async () => {
    const run = await runToEnd(namespace, { code: greedy, timeoutSeconds: 60 }, 90);
    expect(run.status).toMatchObject({ conditions: [{ reason: 'OutOfMemory' }] });
    expect(run.status?.stdout).not.toContain('had it');
  });

  test('is what the limit of the pod does, even without an agent', async () => {
    expect((await runPod(await directPod(namespace, greedy))).end.outOfMemory).toBe(true);
    const pod = await directPod(namespace, greedy);
    containerOf(pod).resources = {};
    expect((await runPod(pod)).output).toContain('had it');
  });
});

describe('the working directory', () => {
  const filling =
    'with open("/workspace/x", "wb") as f:\n  for _ in range(200): f.write(bytes(1 << 20))\nprint("had room")';

  test('holds no more than its size, which is what the limit of its volume does', async () => {
    expect((await runPod(await directPod(namespace, filling))).output).toContain('No space left on device');
    const pod = await directPod(namespace, filling);
    pod.spec.volumes = [{ name: 'workspace', emptyDir: { medium: 'Memory' } }];
    containerOf(pod).resources = {};
    expect((await runPod(pod)).output).toContain('had room');
  });
});

describe('time', () => {
  test('is over by the clock of the kubelet too, whatever becomes of the controller', async () => {
    const pod = await directPod(namespace, 'import time; time.sleep(60)');
    expect(pod.spec.activeDeadlineSeconds).toBeGreaterThan(0);
    pod.spec.activeDeadlineSeconds = 3;
    expect((await runPod(pod, { readLog: false })).end.reason).toBe('DeadlineExceeded');
  });
});

describe('processor time', () => {
  const spin = [
    'import os, time',
    'start, children = time.time(), []',
    'for _ in range(4):',
    '  pid = os.fork()',
    '  if pid == 0:',
    '    while time.time() - start < 3: pass',
    '    os._exit(0)',
    '  children.append(pid)',
    'for pid in children: os.waitpid(pid, 0)',
    'print(sum(os.times()[:4]))',
  ].join('\n');

  test('is held to the limit of the run', async () => {
    const run = await runToEnd(namespace, { code: spin, resources: { cpu: '250m' } }, 90);
    expect(run.status?.conditions).toMatchObject([{ reason: 'Completed' }]);
    // A quarter of a core over a little more than three seconds.
    expect(run.status?.usage?.cpuMilliseconds).toBeLessThan(2000);
  });
});

describe('processes', () => {
  test('end with the program, daemons and all', async () => {
    const code =
      'import os, time\nfor _ in range(3):\n  if os.fork() == 0:\n    os.setsid()\n    time.sleep(100)\nprint("parent done")';
    const run = await runToEnd(namespace, { code, timeoutSeconds: 30 });
    expect(run.status).toMatchObject({ conditions: [{ reason: 'Completed' }], stdout: 'parent done\n' });
    expect(run.status?.durationMilliseconds).toBeLessThan(10_000);
  });

  test('can not be forked without end', async () => {
    const code =
      'import os, time\nn = 0\ntry:\n  while True:\n    if os.fork() == 0: time.sleep(100)\n    n += 1\nexcept BlockingIOError: print("refused")';
    // Enough memory for as many processes as the limit allows.
    const run = await runToEnd(namespace, { code, timeoutSeconds: 60, resources: { memory: '2Gi' } }, 90);
    expect(run.status?.stdout).toContain('refused');
  });
});
