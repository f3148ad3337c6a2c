/** An attached stream whose other end is a test. */

import type { AttachedStream, StreamEnd } from '../../src/kube/port.ts';

export class TestStream implements AttachedStream {
  readonly written: string[] = [];
  readonly #chunks: Uint8Array[] = [];
  readonly #end = Promise.withResolvers<StreamEnd>();
  #closed = false;
  #wake = Promise.withResolvers<void>();

  readonly ended = this.#end.promise;

  async write(data: string | Uint8Array): Promise<void> {
    if (this.#closed) throw new Error('the stream has ended');
    this.written.push(String(data));
  }

  get output(): AsyncIterable<Uint8Array> {
    return this.#read();
  }

  /** What the agent says, an event a line. */
  say(...events: object[]): void {
    this.sayBytes(Buffer.from(events.map((event) => `${JSON.stringify(event)}\n`).join('')));
  }

  sayBytes(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.#wake.resolve();
  }

  /** Chunks that were said and not read yet. */
  get unread(): number {
    return this.#chunks.length;
  }

  /** The connection breaks, or the container ends. */
  end(kind: StreamEnd['kind'] = 'broken'): void {
    this.#closed = true;
    this.#wake.resolve();
    this.#end.resolve({ kind, message: kind });
  }

  close(): void {
    this.end('closed');
  }

  async *#read(): AsyncGenerator<Uint8Array> {
    for (;;) {
      for (let chunk = this.#chunks.shift(); chunk; chunk = this.#chunks.shift()) yield chunk;
      if (this.#closed) return;
      await this.#wake.promise;
      this.#wake = Promise.withResolvers<void>();
    }
  }
}
