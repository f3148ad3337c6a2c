/**
 * Sessions and runs on an API server and agents in memory, with a clock that stands still: controllers look at what
 * they are woken for, and at what is due, and at nothing else.
 */

import { pino } from 'pino';
import type { CodeRun, CodeRunSpecInput } from '../../src/api/coderun.ts';
import { CodeRunSpec } from '../../src/api/coderun.ts';
import { API_VERSION, CODE_RUNS, LABEL_CLASS, REPL_SESSIONS, type ResourceType } from '../../src/api/group.ts';
import type { KubernetesObject, Pod } from '../../src/api/object.ts';
import { type ReplSession, ReplSessionSpec, type ReplSessionSpecInput } from '../../src/api/replsession.ts';
import { Admission, sessionAt } from '../../src/controllers/admission.ts';
import { type CodeRunDeps, codeRunReconciler } from '../../src/controllers/coderun.ts';
import { sessionReconciler } from '../../src/controllers/session.ts';
import { WaitingSandboxes } from '../../src/controllers/waiting.ts';
import { runsByPod, runsByRun, runsBySession, sessionsByPod } from '../../src/controllers/wakes.ts';
import { reasonOf } from '../../src/core/coderun.ts';
import { networkPolicies } from '../../src/core/network.ts';
import { sessionReasonOf } from '../../src/core/session-status.ts';
import { isConflict, isNotFound } from '../../src/kube/error.ts';
import type { AttachedStream } from '../../src/kube/port.ts';
import { NETWORK_POLICIES, PODS } from '../../src/kube/resources.ts';
import { createStores } from '../../src/roles/stores.ts';
import { keyOf } from '../../src/runtime/keys.ts';
import { Channels } from '../../src/sandbox/channels.ts';
import { AGENT_VERSION, aClass, aPod, aPooledPod, terminated } from './builders.ts';
import { FakeClock, settle } from './clock.ts';
import { FakeAgent } from './fake-agent.ts';
import { FakeKube } from './fake-kube.ts';

const NAMESPACE = 'tenant';
const RUNNING = { status: aPod().status ?? {} };
const SETTINGS = { pendingTimeoutSeconds: 300, imagePullGraceSeconds: 60, timeoutGraceSeconds: 5 };

/** The API server, with pods that can be attached to. */
class Cluster extends FakeKube {
  readonly clock: FakeClock;
  readonly agents = new Map<string, FakeAgent>();

  constructor(clock: FakeClock) {
    super(() => clock.now());
    this.clock = clock;
  }

  override async attach(_namespace = '', pod = ''): Promise<AttachedStream> {
    const agent = this.agents.get(pod);
    if (!agent) throw new Error('the container is not running');
    return agent.attach();
  }
}

export async function aSessionCluster() {
  const clock = new FakeClock();
  const kube = new Cluster(clock);
  for (const policy of networkPolicies(NAMESPACE)) await kube.create(NETWORK_POLICIES, policy);
  const leaders: Leader[] = [];
  let epoch = 0;
  const settleAll = async (): Promise<void> => {
    for (let calm = 0; calm < 3; ) {
      await settle();
      const busy = await Promise.all(leaders.map((leader) => leader.work()));
      calm = busy.some(Boolean) ? 0 : calm + 1;
    }
  };
  const object = <T extends KubernetesObject>(type: ResourceType, name: string): T | undefined =>
    kube.all<T>(type).find(({ metadata }) => metadata.name === name);
  const session = (name = 'notebook') => object<ReplSession>(REPL_SESSIONS, name);
  const run = (name: string) => object<CodeRun>(CODE_RUNS, name);
  const pod = (name = session()?.status?.sandbox?.podName ?? '') => object<Pod>(PODS, name);
  return {
    clock,
    kube,
    session,
    run,
    pod,
    settleAll,
    reason: (name?: string) => {
      const found = session(name);
      return found && sessionReasonOf(found);
    },
    runReason: (name: string) => {
      const found = run(name);
      return found && reasonOf(found);
    },
    agent: (name = session()?.status?.sandbox?.podName ?? ''): FakeAgent => {
      const agent = kube.agents.get(name);
      if (!agent) throw new Error(`no sandbox ${name}`);
      return agent;
    },
    /** A new leader; the ones before it stay, unless they are stopped. */
    lead: async () => {
      const leader = new Leader(kube, ++epoch);
      leaders.push(leader);
      await settleAll();
      return leader;
    },
    stop: (leader: Leader) => {
      leader.stop();
      leaders.splice(leaders.indexOf(leader), 1);
    },
    /** A sandbox of a pool that waits, its agent reached by all leaders. */
    addWarm: async (name: string) => {
      const made = aPooledPod(name);
      made.metadata.labels = { ...made.metadata.labels, [LABEL_CLASS]: 'default' };
      kube.agents.set(name, new FakeAgent(() => clock.now()));
      const { spec } = made;
      const { labels } = made.metadata;
      const created = await kube.create<Pod>(PODS, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace: NAMESPACE, ...{ labels } },
        ...{ spec: { ...spec, activeDeadlineSeconds: 90_000 } },
      });
      await kube.replaceStatus<Pod>(PODS, { ...created, ...RUNNING });
      await settle();
      for (const leader of leaders) leader.reachWarm(name);
      await settleAll();
    },
    /** The kubelet starts the pods that are there and do not run. */
    startPods: async () => {
      for (const one of kube.all<Pod>(PODS).filter(({ status }) => status === undefined)) {
        kube.agents.set(one.metadata.name, new FakeAgent(() => clock.now()));
        await kube.replaceStatus<Pod>(PODS, { ...one, ...RUNNING });
      }
      await settleAll();
    },
    /** The sandbox ends by itself, and the kubelet says how. */
    endPod: async (name: string, exitCode: number, reason?: string) => {
      kube.agents.get(name)?.kill();
      kube.setLog(NAMESPACE, name, kube.agents.get(name)?.log ?? new Uint8Array());
      const found = await kube.get<Pod>(PODS, NAMESPACE, name);
      await kube.replaceStatus<Pod>(PODS, { ...found, status: terminated(exitCode, reason) });
      await settleAll();
    },
    createSession: async (spec: Partial<ReplSessionSpecInput> = {}, name = 'notebook') => {
      const metadata = { name, namespace: NAMESPACE };
      const parsed = ReplSessionSpec.parse({ className: 'default', ...spec });
      await kube.create(REPL_SESSIONS, { apiVersion: API_VERSION, kind: 'ReplSession', metadata, ...{ spec: parsed } });
      await settleAll();
    },
    createRun: async (name: string, spec: Partial<CodeRunSpecInput> = {}) => {
      const parsed = CodeRunSpec.parse({ code: name, sessionRef: { name: 'notebook' }, ...spec });
      const metadata = { name, namespace: NAMESPACE };
      await kube.create(CODE_RUNS, { apiVersion: API_VERSION, kind: 'CodeRun', metadata, ...{ spec: parsed } });
      await settleAll();
    },
    patch: async (type: ResourceType, name: string, spec: object) => {
      await kube.patch(type, NAMESPACE, name, { spec }, { strategy: 'merge' });
      await settleAll();
    },
    remove: async (type: ResourceType, name: string) => {
      if (type === PODS) kube.agents.get(name)?.kill();
      await kube.delete(type, NAMESPACE, name);
      await settleAll();
    },
    /** Time passes: everything that is due by then happens at its time. */
    pass: async (seconds: number) => {
      const end = clock.monotonic() + seconds * 1000;
      for (;;) {
        await settleAll();
        const due = Math.min(end, ...leaders.map((leader) => leader.nextDue()));
        if (due >= end && clock.monotonic() >= end) return;
        await clock.advance(Math.max(0, due - clock.monotonic()));
        for (const leader of leaders) leader.wakeDue();
      }
    },
  };
}

/** One process that believes to be the leader: its watches, its channels and its controllers. */
class Leader {
  readonly kube: Cluster;
  readonly stores = createStores(pino({ level: 'silent' }));
  readonly channels: Channels;
  readonly events: string[] = [];
  readonly ended: string[] = [];
  readonly #waiting: WaitingSandboxes;
  readonly #abort = new AbortController();
  readonly #due = new Map<string, number>();
  readonly #queue = new Set<string>();
  readonly #reconcile: Record<'run' | 'session', (key: string) => Promise<{ after?: number }>>;
  readonly #epoch: number;

  constructor(kube: Cluster, epoch: number) {
    this.kube = kube;
    this.#epoch = epoch;
    const { clock } = kube;
    const { stores } = this;
    const wakeRun = (key: string) => void this.#queue.add(`run ${key}`);
    const wakeSession = (key: string) => void this.#queue.add(`session ${key}`);
    this.channels = new Channels({
      attach: (namespace, pod) => kube.attach(namespace, pod),
      now: () => clock.now(),
      helloTimeout: () => new AbortController().signal,
    });
    this.#waiting = new WaitingSandboxes(stores, this.channels, clock, AGENT_VERSION);
    const admission = new Admission({
      maxStarting: 16,
      runs: () => stores.runs.list(),
      sessions: () => stores.sessions.list(),
      defaultClass: () => 'default',
      wake: (place) => {
        const key = sessionAt(place);
        if (key === undefined) wakeRun(place);
        else wakeSession(key);
      },
    });
    const metrics = { queued: () => undefined, finished: () => undefined };
    const deps: CodeRunDeps = {
      kube,
      stores,
      channels: this.channels,
      waiting: this.#waiting,
      admission,
      clock,
      events: { record: (_object, _kind, reason) => void this.events.push(reason) },
      metrics,
      log: pino({ level: 'silent' }),
      settings: SETTINGS,
      agentCommand: ['agent'],
      agentVersion: AGENT_VERSION,
      epoch,
      wake: wakeRun,
      wakePod: (pod) => this.#wakePod(pod),
    };
    const sessionMetrics = { started: () => undefined, ended: (reason: string) => void this.ended.push(reason) };
    this.#reconcile = {
      run: codeRunReconciler(deps),
      session: sessionReconciler({ ...deps, metrics: sessionMetrics, wake: wakeSession }),
    };
    stores.runs.onChange((change) => {
      for (const key of runsByRun(stores, change)) wakeRun(key);
    });
    stores.sessions.onChange(({ object }) => {
      wakeSession(keyOf(object));
      for (const key of runsBySession(stores, object)) wakeRun(key);
    });
    stores.pods.onChange(({ object }) => this.#wakePod(object));
    stores.classes.upsert(aClass());
    this.#watch(NETWORK_POLICIES, stores.policies);
    this.#watch(CODE_RUNS, stores.runs);
    this.#watch(REPL_SESSIONS, stores.sessions);
    this.#watch(PODS, stores.pods);
  }

  /** Has its controllers look at whatever they were woken for; false where there was nothing. */
  async work(): Promise<boolean> {
    const [entry] = this.#queue;
    if (entry === undefined) return false;
    this.#queue.delete(entry);
    this.#due.delete(entry);
    const [kind = '', key = ''] = entry.split(' ');
    try {
      const { after } = await this.#reconcile[kind as 'run' | 'session'](key);
      if (after !== undefined) this.#due.set(entry, this.kube.clock.monotonic() + after);
    } catch (error) {
      const isStale = isConflict(error) || isNotFound(error);
      if (!isStale && !/not open|stream has ended/.test(String(error))) throw error;
      this.#due.set(entry, this.kube.clock.monotonic() + 50);
    }
    return true;
  }

  nextDue(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.#due.values());
  }

  wakeDue(): void {
    for (const [entry, at] of this.#due) if (at <= this.kube.clock.monotonic()) this.#queue.add(entry);
  }

  /** What its pool does: attaches to a sandbox that runs. */
  reachWarm(name: string): void {
    const pod = this.stores.pods.get(`${NAMESPACE}/${name}`);
    if (!pod) throw new Error('the watch has not shown it');
    this.channels.open({
      podUID: pod.metadata.uid,
      namespace: NAMESPACE,
      podName: name,
      limits: { outputBytes: 65_536, resultBytes: 524_288 },
      epoch: this.#epoch,
      onChange: () => this.#wakePod(pod),
    });
  }

  stop(): void {
    this.#abort.abort();
    this.channels.closeAll();
  }

  #wakePod(pod: Pod): void {
    const promised = this.#waiting.promisedTo(pod.metadata.uid);
    if (promised) this.#queue.add(`${promised.kind === 'CodeRun' ? 'run' : 'session'} ${promised.key}`);
    for (const key of runsByPod(this.stores, pod)) this.#queue.add(`run ${key}`);
    for (const key of sessionsByPod(this.stores, pod)) this.#queue.add(`session ${key}`);
  }

  #watch<T extends KubernetesObject>(
    type: ResourceType,
    store: {
      upsert: (object: T) => boolean;
      apply: (event: { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }) => void;
    },
  ): void {
    for (const object of this.kube.all<T>(type)) store.upsert(object);
    const read = async () => {
      const { metadata } = await this.kube.list<T>(type);
      const { resourceVersion } = metadata;
      const options = { resourceVersion, timeoutSeconds: 0, signal: this.#abort.signal };
      for await (const event of this.kube.watch<T>(type, options)) if (event.type !== 'BOOKMARK') store.apply(event);
    };
    void read();
  }
}
