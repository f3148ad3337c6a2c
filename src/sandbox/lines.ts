/** Lines out of a stream of bytes, bounded: what a sandbox sends is never held longer than one line may be. */

import { LINE_LIMIT_BYTES } from './protocol.ts';

const NEWLINE = 0x0a;

/** Yields each line without its newline. A line of more than `limit` bytes is dropped whole; a last part without newline too. */
export async function* lines(chunks: AsyncIterable<Uint8Array>, limit = LINE_LIMIT_BYTES): AsyncGenerator<string> {
  const splitter = new LineSplitter(limit);
  for await (const chunk of chunks) yield* splitter.push(chunk);
}

/** The state between two chunks: the beginning of a line, or the fact that the line is too long already. */
export class LineSplitter {
  readonly #limit: number;
  #parts: Uint8Array[] = [];
  #bytes = 0;
  /** Whether a line was dropped for its length. */
  overrun = false;

  constructor(limit = LINE_LIMIT_BYTES) {
    this.#limit = limit;
  }

  /** Bytes of the unfinished line that are kept. */
  get heldBytes(): number {
    return this.#parts.reduce((sum, part) => sum + part.length, 0);
  }

  /** The lines that `chunk` completes, in order. */
  push(chunk: Uint8Array): string[] {
    const complete: string[] = [];
    let from = 0;
    for (let to = chunk.indexOf(NEWLINE); to !== -1; to = chunk.indexOf(NEWLINE, from)) {
      this.#add(chunk.subarray(from, to));
      if (this.#bytes <= this.#limit) complete.push(Buffer.concat(this.#parts).toString('utf8'));
      this.#parts = [];
      this.#bytes = 0;
      from = to + 1;
    }
    this.#add(chunk.subarray(from));
    return complete;
  }

  #add(part: Uint8Array): void {
    this.#bytes += part.length;
    if (this.#bytes > this.#limit) {
      this.#parts = [];
      this.overrun = true;
    } else if (part.length > 0) this.#parts.push(part);
  }
}
