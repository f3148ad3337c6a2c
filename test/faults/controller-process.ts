/** The controller as a process of this machine, behind a fault proxy: it can be killed and paused at any instant. */

import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { SYSTEM_NAMESPACE } from '../../src/api/group.ts';
import { kubeconfigCredentials } from '../../src/kube/config.ts';
import { isConflict, isNotFound } from '../../src/kube/error.ts';
import { LEASES } from '../../src/kube/resources.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import type { Lease } from '../../src/runtime/lease-record.ts';
import { eventually, kube } from '../e2e/support.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { freePorts, type Started, start } from '../support/processes.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const LEASE = 'coderun-controller';

export class ControllerProcess implements AsyncDisposable {
  readonly proxy: FaultProxy;
  readonly log: string;
  readonly #kubeconfig: string;
  #health = 0;
  #running: Started | undefined;

  private constructor(proxy: FaultProxy, folder: string) {
    this.proxy = proxy;
    this.log = join(folder, 'controller.log');
    this.#kubeconfig = join(folder, 'kubeconfig');
  }

  /** Does not start it yet. */
  static async create(): Promise<ControllerProcess> {
    const proxy = await startFaultProxy(await kubeconfigCredentials({}, systemClock));
    const controller = new ControllerProcess(proxy, await mkdtemp(join(tmpdir(), 'coderun-faults-')));
    await writeFile(controller.#kubeconfig, kubeconfigOf(proxy.url));
    return controller;
  }

  async start(): Promise<void> {
    const [health = 0] = await freePorts(1);
    this.#health = health;
    const settings = {
      KUBECONFIG: this.#kubeconfig,
      POD_NAME: 'on-host',
      POD_NAMESPACE: SYSTEM_NAMESPACE,
      CODERUN_HEALTH_PORT: health,
      CODERUN_LEASE_SECONDS: 4,
      CODERUN_LEASE_RENEW_SECONDS: 3,
      CODERUN_LEASE_RETRY_SECONDS: 1,
    };
    const environment = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
    const command = [...environment, process.execPath, join(ROOT, 'src/main.ts'), 'controller'];
    const running = start('env', command, this.log, ROOT);
    this.#running = running;
    // One that has lost its Lease ends, and is started again as the kubelet does.
    running.process.once('exit', () => this.#running === running && this.start());
  }

  /** Ends it without a chance to say goodbye. Nobody need wait for the Lease of a process that is certainly dead. */
  async kill(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.stop();
    await freeLease();
  }

  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  pause(): void {
    this.#running?.process.kill('SIGSTOP');
  }

  resume(): void {
    this.#running?.process.kill('SIGCONT');
  }

  /** Resolves when it reconciles. */
  async leads(seconds = 60): Promise<void> {
    await eventually(async () => (await this.metric('leader_election_master_status')) === 1, seconds);
  }

  /** The sum over the labels of a metric; undefined where it is not served. */
  async metric(name: string): Promise<number | undefined> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.#health}/metrics`, { signal: AbortSignal.timeout(2000) });
      const found = (await answer.text()).split('\n').filter((line) => line.startsWith(name));
      return found.length === 0 ? undefined : found.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
    } catch {
      return undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.proxy[Symbol.asyncDispose]();
  }
}

/** Takes the Lease away from whoever holds it. */
export async function freeLease(): Promise<void> {
  const lease = await kube.get<Lease>(LEASES, SYSTEM_NAMESPACE, LEASE).catch((error: unknown) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
  if (!lease?.spec?.holderIdentity) return;
  const freed = { ...lease, spec: { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 } };
  // The holder may be renewing at this moment.
  await kube.replace(LEASES, freed).catch((error: unknown) => {
    if (!isConflict(error)) throw error;
    return freeLease();
  });
}

/** JSON is YAML. */
const kubeconfigOf = (server: string): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'proxy',
    clusters: [{ name: 'proxy', cluster: { server, 'insecure-skip-tls-verify': true } }],
    contexts: [{ name: 'proxy', context: { cluster: 'proxy', user: 'nobody' } }],
    users: [{ name: 'nobody', user: {} }],
  });
