/** Files that a run brought back: out of its status, or out of its journal while that lasts. */

import type { CodeRun } from '../api/coderun.ts';
import type { GatewayDeps } from './deps.ts';
import { type RunEvent, readJournal } from './journal.ts';
import { Problem } from './problem.ts';

export async function readArtifact(
  deps: GatewayDeps,
  run: CodeRun,
  path: string,
  signal: AbortSignal,
): Promise<Buffer> {
  const artifact = run.status?.artifacts?.find((candidate) => candidate.path === path);
  if (!artifact)
    throw new Problem('ArtifactNotFound', 'The run has no such artifact (yet); its field artifacts lists them.');
  if (artifact.contentBase64 !== undefined) return Buffer.from(artifact.contentBase64, 'base64');
  const content = artifact.inJournal
    ? await assemble(readJournal(deps, run, { follow: false, signal }), path, artifact.bytes)
    : undefined;
  if (!content)
    throw new Problem(
      'ArtifactGone',
      'The artifact is not held any more: too large for the status, it went with its pod.',
    );
  return content;
}

/** The file `path` from its chunks; undefined unless they are all there, in order, `bytes` together. */
export async function assemble(
  events: AsyncIterable<RunEvent>,
  path: string,
  bytes: number,
): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let held = 0;
  for await (const event of events) {
    if (!('artifact' in event) || event.artifact.path !== path) continue;
    const { offset, contentBase64 } = event.artifact;
    if (contentBase64 === null || offset !== held) return undefined;
    const chunk = Buffer.from(contentBase64, 'base64');
    chunks.push(chunk);
    held += chunk.length;
    if (held >= bytes) break;
  }
  return held === bytes && chunks.length > 0 ? Buffer.concat(chunks) : undefined;
}
