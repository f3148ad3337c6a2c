/** Files of this machine on their way into a session. */

import { open } from 'node:fs/promises';
import { CliError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';

const LIMIT = 100 * 1024 * 1024;

export async function readLocal(path: string): Promise<Uint8Array> {
  try {
    await using file = await open(path);
    const stats = await file.stat();
    if (!stats.isFile()) throw new CliError(EXIT.notFound.code, `${path} is not a file`);
    if (stats.size > LIMIT)
      throw new CliError(EXIT.data.code, `${path} is larger than the ${LIMIT} bytes that a session takes`);
    return await file.readFile();
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(EXIT.notFound.code, `${path} can't be read`, error);
  }
}
