/** The API keys as the Secret has them: read again when they are asked for and a few seconds old, so that a change needs no restart. */

import type { FastifyBaseLogger } from 'fastify';
import type { KubernetesObject } from '../../api/object.ts';
import { isNotFound } from '../../kube/error.ts';
import type { Kube } from '../../kube/port.ts';
import { SECRETS } from '../../kube/resources.ts';
import type { Clock } from '../deps.ts';
import { ExpiringMap } from './expiring-map.ts';
import { API_KEYS_SECRET, type ApiKeyEntry, type ParsedKeys, parseSecret } from './keys.ts';

/** How long a revoked key may still be taken, in milliseconds. */
const KEYS_MILLISECONDS = 5000;

interface KeyStoreDeps {
  kube: Pick<Kube, 'get'>;
  clock: Pick<Clock, 'monotonic'>;
  logger: Pick<FastifyBaseLogger, 'warn'>;
}

export class KeyStore {
  readonly #kube: Pick<Kube, 'get'>;
  readonly #logger: Pick<FastifyBaseLogger, 'warn'>;
  readonly #read: ExpiringMap<Promise<ParsedKeys>>;
  #warned = '';

  constructor({ kube, clock, logger }: KeyStoreDeps) {
    this.#kube = kube;
    this.#logger = logger;
    this.#read = new ExpiringMap({ clock, limit: 1, milliseconds: KEYS_MILLISECONDS });
  }

  /** The entry of this id. Rejects with `KubeError` where the Secret can't be read. */
  async find(id: string): Promise<ApiKeyEntry | undefined> {
    return (await this.#keys()).entries.get(id);
  }

  #keys(): Promise<ParsedKeys> {
    const known = this.#read.get('');
    if (known) return known;
    const keys = this.#load();
    this.#read.set('', keys);
    keys.catch(() => this.#read.drop('', keys));
    return keys;
  }

  async #load(): Promise<ParsedKeys> {
    const { namespace, name } = API_KEYS_SECRET;
    try {
      const { data } = await this.#kube.get<KubernetesObject & { data?: Record<string, string> }>(
        SECRETS,
        namespace,
        name,
      );
      const parsed = parseSecret(data);
      this.#warn(parsed.invalid);
      return parsed;
    } catch (error) {
      if (isNotFound(error)) return parseSecret();
      throw error;
    }
  }

  /** Once for the same faults; the names of entries are no secrets. */
  #warn(invalid: string[]): void {
    const faults = invalid.join(' ');
    if (faults && faults !== this.#warned)
      this.#logger.warn({ invalid }, 'entries of the Secret of API keys are no keys');
    this.#warned = faults;
  }
}
