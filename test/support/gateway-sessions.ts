/** A gateway, sessions in its cluster, and an agent in their sandboxes that does as a test says. */

import { readyCondition } from '../../src/api/conditions.ts';
import { API_VERSION, REPL_SESSIONS } from '../../src/api/group.ts';
import { type ReplSession, ReplSessionSpec, type ReplSessionStatus } from '../../src/api/replsession.ts';
import type { SessionReason } from '../../src/api/session-reasons.ts';
import { BridgeAgent, type Rule } from './bridge-agent.ts';
import { aWorld, NAMESPACE, type WorldOptions } from './gateway-world.ts';

export function aSessionWorld(rule?: Rule, options: WorldOptions = {}) {
  return withSessions(aWorld(options), rule);
}

/** `world`, with an agent in its sandboxes. */
export function withSessions<World extends ReturnType<typeof aWorld>>(world: World, rule?: Rule) {
  const agent = new BridgeAgent(rule);
  world.kube.onExec = () => agent.connect();
  return { ...world, agent, ...sessionWords(world) };
}

function sessionWords({ kube }: ReturnType<typeof aWorld>) {
  const all = () => kube.all<ReplSession>(REPL_SESSIONS);
  const stand = async (name: string, reason: SessionReason, status: ReplSessionStatus = {}): Promise<ReplSession> => {
    const session = all().find(({ metadata }) => metadata.name === name);
    if (!session) throw new Error('there is no such session');
    const condition = readyCondition(reason === 'Ready', reason, '', 1, new Date(0), undefined);
    const sandbox = { podName: `pod-${name}`, podUID: `uid-of-${session.metadata.uid}` };
    const more = reason === 'Queued' ? {} : { sandbox };
    return kube.replaceStatus(REPL_SESSIONS, {
      ...session,
      status: { ...session.status, ...more, ...status, conditions: [condition] },
    });
  };
  return {
    allSessions: all,
    /** What the controller would write. */
    stand,
    /** A session `s1`, unless it is to have another name. */
    session: async (reason: SessionReason = 'Ready', { name = 's1', namespace = NAMESPACE, spec = {} } = {}) => {
      const object = { apiVersion: API_VERSION, kind: 'ReplSession', metadata: { name, namespace } };
      await kube.create(REPL_SESSIONS, { ...object, ...{ spec: ReplSessionSpec.parse(spec) } });
      return stand(name, reason);
    },
  };
}

export type SessionWorld = ReturnType<typeof aSessionWorld>;
