/** The agent of a sandbox, as its protocol has it, in memory: a program prints its code and ends, unless that is `hang`. */

import type { AttachedStream } from '../../src/kube/port.ts';
import type { AgentEvent, Command, ExecuteCommand } from '../../src/sandbox/protocol.ts';
import { anExit } from './builders.ts';
import { TestStream } from './stream.ts';

interface Session {
  id: string;
  executions: number;
  lastUse: number;
  opened: object;
}

type Order = ExecuteCommand['execute'];

export class FakeAgent {
  readonly #now: () => Date;
  readonly #streams = new Set<TestStream>();
  /** Every line that was said: what the log of the pod holds. */
  readonly said: object[] = [];
  /** Ids of executions in the order of their beginning. */
  readonly begun: string[] = [];
  readonly hellos: Date[] = [];
  session: Session | undefined;
  isShutDown = false;
  /** Answers nothing while this is set. */
  isSilent = false;
  /** How an order to open a session fails; it succeeds without. */
  openFailure: { cause: 'PackageInstallFailed' | 'DiskLimit'; message: string } | undefined;
  #run: string | undefined;
  #epoch = 0;
  readonly #queue: Order[] = [];
  #current: Order | undefined;
  readonly #exits = new Map<string, AgentEvent>();

  constructor(now: () => Date) {
    this.#now = now;
  }

  get log(): Uint8Array {
    return Buffer.from(this.said.map((event) => `${JSON.stringify(event)}\n`).join(''));
  }

  attach(): AttachedStream {
    if (this.isShutDown) throw new Error('the container is not running');
    const stream = new TestStream();
    const write = stream.write.bind(stream);
    stream.write = async (line) => {
      await write(line);
      if (!this.isSilent) this.#obey(JSON.parse(String(line)) as Command);
    };
    this.#streams.add(stream);
    return stream;
  }

  /** Every connection breaks; the sandbox goes on. */
  disconnect(): void {
    for (const stream of this.#streams) stream.end();
    this.#streams.clear();
  }

  /** The sandbox is killed. */
  kill(): void {
    this.isShutDown = true;
    this.disconnect();
  }

  /** A client of the bridge has something executed. */
  use(): void {
    if (!this.session) throw new Error('no session is open');
    this.session.executions++;
    this.session.lastUse = this.#now().getTime();
  }

  /** Ends the execution that hangs. */
  finish(more: Parameters<typeof anExit>[0] = {}): void {
    const { id } = this.#current ?? {};
    if (id === undefined) throw new Error('nothing runs');
    this.#tellExit(id, { ...more, session: { executionCount: this.begun.length, stateKept: true } });
  }

  finishIfBusy(): void {
    if (this.#current) this.finish();
  }

  #tell(event: object): void {
    this.said.push(event);
    for (const stream of this.#streams) stream.say(event);
  }

  #refuse(reason: string, id: string | null): void {
    this.#tell({ refused: { reason, message: 'refused', id } });
  }

  #obey(command: Command): void {
    const [fields] = Object.values(command) as { epoch: number; id?: string }[];
    if ((fields?.epoch ?? 0) < this.#epoch) {
      this.#refuse('StaleEpoch', fields?.id ?? null);
      return;
    }
    this.#epoch = fields?.epoch ?? 0;
    if ('hello' in command) this.#hello();
    else if ('open' in command) this.#open(command.open.id);
    else if ('execute' in command) this.#execute(command.execute);
    else if ('interrupt' in command) this.#interrupt(command.interrupt.id);
    else this.kill();
  }

  #hello(): void {
    this.hellos.push(this.#now());
    const run = this.#run === undefined ? null : { id: this.#run, state: 'running' };
    const common = { protocol: 1, epoch: this.#epoch, kernel: '4.19.0-gvisor', gvisor: true, python: '3.13.0', run };
    this.#tell({ hello: { ...common, session: this.#state() } });
  }

  #state(): object | null {
    if (!this.session) return null;
    const { id, executions, lastUse } = this.session;
    const busy = this.#current !== undefined;
    const idleMilliseconds = busy ? 0 : this.#now().getTime() - lastUse;
    return { id, state: this.openFailure ? 'failed' : 'open', executions, busy, idleMilliseconds };
  }

  #open(id: string): void {
    const isTaken = this.#run !== undefined || (this.session && this.session.id !== id);
    if (isTaken) {
      this.#refuse('Busy', id);
      return;
    }
    const opened = this.openFailure ?? { cause: null, message: '' };
    this.session ??= { id, executions: 0, lastUse: this.#now().getTime(), opened };
    this.#tell({ id, opened: this.session.opened });
  }

  #execute(order: Order): void {
    const exit = this.#exits.get(order.id);
    if (!this.session) {
      this.#run = order.id;
      this.begun.push(order.id);
    } else if (!exit && order.id !== this.#current?.id) {
      if (!this.#queue.some(({ id }) => id === order.id)) this.#queue.push(order);
      this.#next();
      return;
    }
    this.#tell({ id: order.id, started: {} });
    if (exit) this.#tell(exit);
  }

  #next(): void {
    if (this.#current) return;
    this.#current = this.#queue.shift();
    if (!this.#current) return;
    const { id, code } = this.#current;
    this.use();
    this.begun.push(id);
    this.#tell({ id, started: {} });
    this.#tell({ id, stdout: code });
    if (code !== 'hang') this.finish();
  }

  #interrupt(id: string): void {
    const waiting = this.#queue.findIndex((order) => order.id === id);
    if (waiting >= 0) this.#queue.splice(waiting, 1);
    if (waiting < 0 && this.#current?.id !== id) this.#refuse('Invalid', id);
    else this.#tellExit(id, { cause: 'Interrupted', exitCode: 130 });
  }

  #tellExit(id: string, more: Parameters<typeof anExit>[0]): void {
    const exit = { ...anExit(more), id } as AgentEvent;
    this.#exits.set(id, exit);
    if (this.session) this.session.lastUse = this.#now().getTime();
    this.#tell(exit);
    if (this.#current?.id !== id) return;
    this.#current = undefined;
    this.#next();
  }
}
