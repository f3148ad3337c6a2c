/** Files that came out of a sandbox, written to the local disk: their names and contents are the program's to choose. */

import { lstat, mkdir, realpath, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Coderun, Run } from '../../client/index.ts';
import { CliError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import { type Io, note } from '../io.ts';
import { printableLine } from '../printable.ts';
import { bytes } from '../table.ts';

/** Writes every artifact of `run` below `folder` and tells of each; nothing that is there already is replaced. */
export async function saveArtifacts(client: Coderun, run: Run, folder: string, io: Io, signal?: AbortSignal) {
  for (const { path, contentBase64 } of run.artifacts ?? []) {
    const content =
      contentBase64 === undefined
        ? await client.runs.artifact(run.name, path, { signal })
        : Buffer.from(contentBase64, 'base64');
    const written = await saveBelow(resolve(io.cwd, folder), path, content);
    await note(io, `saved ${written} (${bytes(content.length)})`);
  }
}

/** Writes `content` to `path` below `folder`, and resolves with where that is. Never through a link, never over a file. */
export async function saveBelow(folder: string, path: string, content: Uint8Array): Promise<string> {
  const shown = printableLine(path);
  const parts = path.split('/');
  // What begins with a dot configures somebody's shell or tools.
  if (path.includes('\0') || path.includes('\\') || parts.some((part) => part === '' || part.startsWith('.')))
    throw new CliError(EXIT.data.code, `the artifact ${shown} is not saved: names that begin with a dot are not taken`);
  const target = join(folder, ...parts);
  await makeFolders(folder, parts.slice(0, -1), shown);
  try {
    await writeFile(target, content, { flag: 'wx', mode: 0o644 });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST')
      throw new CliError(
        EXIT.failure.code,
        `the artifact ${shown} is not saved: ${target} exists; move it, or name another --output`,
      );
    throw error;
  }
  return target;
}

async function makeFolders(folder: string, parts: readonly string[], shown: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  let at = await realpath(folder);
  for (const part of parts) {
    at = join(at, part);
    await mkdir(at).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    });
    if (!(await lstat(at)).isDirectory())
      throw new CliError(EXIT.failure.code, `the artifact ${shown} is not saved: ${dirname(at)} leads elsewhere`);
  }
}
