/**
 * What a run said, folded from its events into what a status has room for. A transcript is bounded whatever the
 * sandbox sends: the rest stays in the journal.
 */

import type { z } from 'zod';
import type { AgentEvent, ExitEvent } from './protocol.ts';

export interface TranscriptLimits {
  /** Bytes of stdout, and of stderr, that are kept. */
  outputBytes: number;
  /** Bytes of results and artifacts together, as encoded JSON, that are kept. */
  resultBytes: number;
}

/** What the agent says at the end of a run. */
export type Exit = z.output<typeof ExitEvent>['exit'];

export interface TranscriptArtifact {
  path: string;
  bytes: number;
  /** Undefined where the content was too large for the transcript or for the journal. */
  contentBase64: string | undefined;
  /** True where every byte of the content is in the journal. */
  inJournal: boolean;
}

const MAX_RESULTS = 64;
const MAX_ARTIFACTS = 256;

export class Transcript {
  readonly id: string;
  readonly #limits: TranscriptLimits;
  readonly #stdout: BoundedText;
  readonly #stderr: BoundedText;
  readonly results: { mime: Record<string, string> }[] = [];
  readonly artifacts: TranscriptArtifact[] = [];
  started = false;
  exit: Exit | undefined;
  #resultBytes = 0;

  constructor(id: string, limits: TranscriptLimits) {
    this.id = id;
    this.#limits = limits;
    this.#stdout = new BoundedText(limits.outputBytes);
    this.#stderr = new BoundedText(limits.outputBytes);
  }

  get stdout(): string {
    return this.#stdout.text;
  }

  get stderr(): string {
    return this.#stderr.text;
  }

  get stdoutTruncated(): boolean {
    return this.#stdout.truncated;
  }

  get stderrTruncated(): boolean {
    return this.#stderr.truncated;
  }

  /** Takes one event; those of other runs, and any after the exit, change nothing. */
  add(event: AgentEvent): void {
    if (!('id' in event) || event.id !== this.id || this.exit) return;
    if ('stdout' in event) this.#stdout.append(event.stdout);
    else if ('stderr' in event) this.#stderr.append(event.stderr);
    else if ('result' in event) this.#addResult(event.result.mime);
    else if ('artifact' in event) this.#addArtifact(event.artifact);
    else if ('started' in event) this.started = true;
    else if ('exit' in event) this.exit = event.exit;
  }

  #addResult(mime: Record<string, string>): void {
    if (this.results.length < MAX_RESULTS && this.#reserve(JSON.stringify(mime).length)) this.results.push({ mime });
  }

  #addArtifact(chunk: { path: string; bytes: number; offset: number; contentBase64: string | null }): void {
    const last = this.artifacts.at(-1);
    const { contentBase64: content } = chunk;
    if (chunk.offset === 0) {
      if (this.artifacts.length >= MAX_ARTIFACTS) return;
      const kept = content !== null && this.#reserve(content.length + chunk.path.length);
      this.artifacts.push({
        path: chunk.path,
        bytes: chunk.bytes,
        contentBase64: kept ? content : undefined,
        inJournal: content !== null,
      });
    } else if (last?.path === chunk.path) {
      last.inJournal &&= content !== null;
      const kept = content !== null && last.contentBase64 !== undefined && this.#reserve(content.length);
      last.contentBase64 = kept ? last.contentBase64 + content : undefined;
    }
  }

  #reserve(bytes: number): boolean {
    if (this.#resultBytes + bytes > this.#limits.resultBytes) return false;
    this.#resultBytes += bytes;
    return true;
  }
}

/** The beginning of a text, up to a number of bytes in UTF-8, never ending within a character. */
class BoundedText {
  #room: number;
  text = '';
  truncated = false;

  constructor(limitBytes: number) {
    this.#room = limitBytes;
  }

  append(more: string): void {
    if (this.truncated) return;
    const kept = truncateUtf8(more, this.#room);
    this.truncated = kept.length < more.length;
    this.#room -= Buffer.byteLength(kept);
    this.text += kept;
  }
}

/** The longest beginning of `text` that takes `limitBytes` or less in UTF-8 and ends between two characters. */
export function truncateUtf8(text: string, limitBytes: number): string {
  if (Buffer.byteLength(text) <= limitBytes) return text;
  const bytes = Buffer.from(text);
  let end = limitBytes;
  // Bytes 10xxxxxx continue a character: step back to where one begins.
  while (end > 0 && ((bytes[end] ?? 0) & 0b1100_0000) === 0b1000_0000) end--;
  return bytes.subarray(0, end).toString('utf8');
}
