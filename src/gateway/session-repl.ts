/** Sessions by an id of the client's choice: made on first use, and made anew where the one before has ended. */

import { createHash } from 'node:crypto';
import { REPL_SESSIONS } from '../api/group.ts';
import type { ReplSession } from '../api/replsession.ts';
import { ReplSessionSpec } from '../api/replsession.ts';
import { isConflict, isNotFound } from '../kube/error.ts';
import { allowedClass, checkClassOf, classExists } from './auth/classes.ts';
import type { GatewayDeps } from './deps.ts';
import type { Caller } from './plugins/identify.ts';
import { isProblem } from './problem.ts';
import { createSession, findSession, hasEnded } from './session-store.ts';

const HASH_CHARACTERS = 24;
const ATTEMPTS = 3;

/** Any text as an id; the same id is the same name, and nobody's name tells the id. */
export const replName = (id: string): string =>
  `repl-${createHash('sha256').update(id).digest('hex').slice(0, HASH_CHARACTERS)}`;

export interface FoundSession {
  session: ReplSession;
  /** True where it holds nothing of an earlier call. */
  isNew: boolean;
}

export async function replSession(deps: GatewayDeps, caller: Caller, id: string): Promise<FoundSession> {
  const name = replName(id);
  for (let attempt = 1; ; attempt++) {
    // The watch may lag behind what another gateway has done meanwhile.
    const found = await (attempt === 1 ? findSession(deps, caller, name) : freshly(deps, caller, name)).catch(absent);
    if (found && !hasEnded(found)) {
      checkClassOf(caller, found);
      return { session: found, isNew: false };
    }
    if (found) await remove(deps, found);
    try {
      return { session: await createSession(deps, caller, await specOf(deps, caller), { name }), isNew: true };
    } catch (error) {
      if (!isProblem(error, 'AlreadyExists') || attempt === ATTEMPTS) throw error;
    }
  }
}

const freshly = (deps: GatewayDeps, { namespace }: Caller, name: string): Promise<ReplSession> =>
  deps.kube.get<ReplSession>(REPL_SESSIONS, namespace, name);

function absent(error: unknown): undefined {
  if (!isNotFound(error) && !isProblem(error, 'SessionNotFound')) throw error;
}

/** Only the very session that was seen to have ended. */
async function remove({ kube }: GatewayDeps, { metadata }: ReplSession): Promise<void> {
  const { namespace, name, uid } = metadata;
  try {
    await kube.delete(REPL_SESSIONS, namespace, name, { uid, propagationPolicy: 'Background' });
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
}

/** These sessions are asked to install packages without a class having been named. */
async function specOf({ kube, config }: GatewayDeps, caller: Caller): Promise<ReplSessionSpec> {
  const { packagesClassName: offering } = config;
  const isOffered = (caller.classes?.includes(offering) ?? true) && (await classExists(kube, offering));
  const className = isOffered ? offering : allowedClass(caller, undefined, 'className');
  return ReplSessionSpec.parse({ className });
}
