/** What the API server says of a token: whose it is, and what they may do. Remembered for a few seconds, never by the token itself. */

import { createHash } from 'node:crypto';
import type { Kube, NewObject } from '../../kube/port.ts';
import { SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS } from '../../kube/resources.ts';
import type { Clock } from '../deps.ts';
import type { Access } from './access.ts';
import { ExpiringMap } from './expiring-map.ts';

export interface TokenUser {
  username: string;
  uid?: string;
  groups?: string[];
  extra?: Record<string, string[]>;
}

interface TokenReview {
  status?: { authenticated?: boolean; user?: TokenUser; audiences?: string[] };
}

interface SubjectAccessReview {
  status?: { allowed?: boolean };
}

/** How long a token that was revoked, or a right that was taken away, may still count, in milliseconds. */
const REMEMBERED_MILLISECONDS = 10_000;
const REMEMBERED = 10_000;

interface ReviewDeps {
  kube: Pick<Kube, 'create'>;
  clock: Pick<Clock, 'monotonic'>;
  /** Whom a token must be for; undefined means for the API server. */
  audience: string | undefined;
}

const hashed = (...parts: unknown[]): string => createHash('sha256').update(JSON.stringify(parts)).digest('base64');

export class Reviews {
  readonly #kube: Pick<Kube, 'create'>;
  readonly #audience: string | undefined;
  readonly #users: ExpiringMap<Promise<TokenUser | undefined>>;
  readonly #rights: ExpiringMap<Promise<boolean>>;

  constructor({ kube, clock, audience }: ReviewDeps) {
    this.#kube = kube;
    this.#audience = audience;
    const options = { clock, limit: REMEMBERED, milliseconds: REMEMBERED_MILLISECONDS };
    this.#users = new ExpiringMap(options);
    this.#rights = new ExpiringMap(options);
  }

  /** True where `user` would not ask the API server. */
  isKnown(token: string): boolean {
    return this.#users.get(hashed(token)) !== undefined;
  }

  /** Whose token it is; undefined where it is nobody's. Rejects with `KubeError` where that can't be told. */
  user(token: string): Promise<TokenUser | undefined> {
    return remembered(this.#users, hashed(token), () => this.#review(token));
  }

  /** Rejects with `KubeError` where that can't be told. */
  mayAccess(user: TokenUser, access: Access, namespace: string): Promise<boolean> {
    const { username, uid, groups, extra } = user;
    const resourceAttributes = { ...access, namespace };
    const spec = { user: username, uid, groups, extra, resourceAttributes };
    return remembered(this.#rights, hashed(spec), async () => {
      const review = newReview('authorization.k8s.io/v1', 'SubjectAccessReview', spec);
      const { status } = await this.#kube.create<SubjectAccessReview>(SUBJECT_ACCESS_REVIEWS, review);
      return status?.allowed === true;
    });
  }

  async #review(token: string): Promise<TokenUser | undefined> {
    const audience = this.#audience;
    const spec = { token, ...(audience !== undefined && { audiences: [audience] }) };
    const review = newReview('authentication.k8s.io/v1', 'TokenReview', spec);
    const { status } = await this.#kube.create<TokenReview>(TOKEN_REVIEWS, review);
    // A server that knows nothing of audiences answers none, and means its own.
    if (audience !== undefined && !status?.audiences?.includes(audience)) return undefined;
    return status?.authenticated ? status.user : undefined;
  }
}

const newReview = (apiVersion: string, kind: string, spec: object): NewObject & { spec: object } => ({
  apiVersion,
  kind,
  metadata: {},
  spec,
});

/** Asked at once many times, it asks once; a refusal and a failure are not remembered. */
function remembered<T>(known: ExpiringMap<Promise<T>>, key: string, ask: () => Promise<T>): Promise<T> {
  const before = known.get(key);
  if (before) return before;
  const asked = ask();
  known.set(key, asked);
  const forget = () => known.drop(key, asked);
  asked.then((answer) => answer || forget(), forget);
  return asked;
}
