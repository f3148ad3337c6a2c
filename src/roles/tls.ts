/** The certificate of the gateway, from files that may be replaced while it runs. */

import { readFile } from 'node:fs/promises';
import type { Config } from '../config.ts';
import type { Certificate } from '../gateway/deps.ts';
import { AbortError } from '../runtime/abort.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../telemetry/logger.ts';

/** How often the files are looked at, in milliseconds: those of a mounted Secret change without an event. */
const LOOK_MILLISECONDS = 10_000;

export interface CertificateFiles {
  cert: string;
  key: string;
}

/** Undefined where the gateway speaks plain HTTP. Throws an Error where only one of the two files is set. */
export function certificateFiles(config: Config): CertificateFiles | undefined {
  const { CODERUN_TLS_CERT_FILE: cert, CODERUN_TLS_KEY_FILE: key } = config;
  if (cert !== undefined && key !== undefined) return { cert, key };
  if (cert === undefined && key === undefined) return undefined;
  throw new Error('Set both of CODERUN_TLS_CERT_FILE and CODERUN_TLS_KEY_FILE, or neither.');
}

/** Throws an Error where a file can't be read. */
export async function readCertificate(files: CertificateFiles): Promise<Certificate> {
  const [cert, key] = await Promise.all([files.cert, files.key].map((path) => readFile(path, 'utf8')));
  return { cert: cert ?? '', key: key ?? '' };
}

interface WatchOptions {
  current: Certificate;
  clock: Clock;
  log: Pick<Logger, 'info' | 'warn'>;
  signal: AbortSignal;
}

/** Calls `use` with every new certificate until `signal` aborts; where it throws, the one before stays, and the log says so. */
export async function watchCertificate(
  files: CertificateFiles,
  use: (certificate: Certificate) => void,
  { current, clock, log, signal }: WatchOptions,
): Promise<void> {
  let known = current;
  while (!signal.aborted) {
    try {
      await clock.sleep(LOOK_MILLISECONDS, signal);
      const next = await readCertificate(files);
      if (next.cert === known.cert && next.key === known.key) continue;
      use(next);
      known = next;
      log.info('the certificate is renewed');
    } catch (error) {
      if (error instanceof AbortError) return;
      log.warn({ err: error }, 'the certificate could not be read again; the one before stays');
    }
  }
}
