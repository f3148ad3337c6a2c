/** Who we are to the API server, as a value that stays fresh: tokens and certificates change while a program runs. */

import type { Clock } from '../runtime/clock.ts';
import { KubeError } from './error.ts';

/** The part of TLS options that a cluster and a user decide. */
export interface Tls {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

export interface Authentication {
  readonly headers: Readonly<Record<string, string>>;
  /** The same object as long as nothing in it changed. */
  readonly tls: Tls;
}

export interface Credentials {
  /** `https://HOST:PORT`, with a path where the API server has one. */
  readonly server: URL;
  /** The namespace of the context or the service account. */
  readonly namespace: string | undefined;
  /** What a request made now carries. Rejects with `KubeError` of code 0, whose message holds no secret. */
  authentication(): Promise<Authentication>;
}

/** Keeps what `read` gives for `milliseconds`; many who ask at once share one reading. */
export function refreshed(
  clock: Clock,
  milliseconds: number,
  read: () => Promise<Authentication>,
): () => Promise<Authentication> {
  let latest: Authentication | undefined;
  let current: Promise<Authentication> | undefined;
  let freshUntil = 0;
  const readAgain = async (): Promise<Authentication> => {
    try {
      const next = await read();
      latest = latest !== undefined && isSameTls(latest.tls, next.tls) ? { ...next, tls: latest.tls } : next;
      return latest;
    } catch {
      // The failure's own text may quote a credential, such as the output of a login program.
      current = undefined;
      throw new KubeError(0, 'NoCredentials', 'the credentials could not be read');
    }
  };
  return () => {
    if (current === undefined || clock.monotonic() >= freshUntil) {
      freshUntil = clock.monotonic() + milliseconds;
      current = readAgain();
    }
    return current;
  };
}

const isSameTls = (a: Tls, b: Tls): boolean =>
  isSame(a.ca, b.ca) &&
  isSame(a.cert, b.cert) &&
  isSame(a.key, b.key) &&
  a.servername === b.servername &&
  a.rejectUnauthorized === b.rejectUnauthorized;

const isSame = (a: string | Buffer | undefined, b: string | Buffer | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && Buffer.from(a).equals(Buffer.from(b)));
