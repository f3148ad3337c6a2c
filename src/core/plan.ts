/** World and plan of a CodeRun: what is known, and what is to be done about it. */

import type { V1HostAlias } from '@kubernetes/client-node';
import type { CodeRun, CodeRunStatus } from '../api/coderun.ts';
import type { NewPod, Pod } from '../api/object.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import type { ChannelView } from '../sandbox/channels.ts';
import type { Command } from '../sandbox/protocol.ts';
import type { Transcript, TranscriptLimits } from '../sandbox/transcript.ts';

/** Everything that a decision is made from, gathered beforehand. */
export interface World {
  run: CodeRun;
  sandboxClass: SandboxClass | undefined;
  /** The program: of the spec or of the ConfigMap it names. */
  code: { text: string } | { missing: string };
  /** The pod by the run's deterministic name, as the watch last showed it. */
  pod: Pod | undefined;
  /** How the last try to create the pod was refused, or why there can be none. */
  refusedPod: PodRefusal | undefined;
  channel: ChannelView | undefined;
  /** A sandbox of a pool that fits the run and waits for it; reserved, so that no other run is offered it. */
  waiting: WaitingSandbox | undefined;
  /** Whether a sandbox may be started for the run now; it waits in the queue otherwise. */
  isAdmitted: boolean;
  /** The journal of a pod that has ended: what it held, or that it could not be read. */
  journal: Transcript | 'unreadable' | undefined;
  /** When this process first saw the run: creationTimestamp knows only whole seconds. */
  firstSeen: Date;
  agentCommand: string[];
  /** Of the package index of the class. */
  hostAliases: V1HostAlias[];
  epoch: number;
  settings: PlanSettings;
}

/** A sandbox that a pool keeps, its agent reached and idle. */
export interface WaitingSandbox {
  pod: Pod;
  channel: ChannelView;
}

export interface PlanSettings {
  /** How long a run may wait for its sandbox, in seconds. */
  pendingTimeoutSeconds: number;
  /** How long an image may fail to be pulled, in seconds. */
  imagePullGraceSeconds: number;
  /** What the agent gets beyond a timeout to end the program and say so, in seconds. */
  timeoutGraceSeconds: number;
}

export interface PodRefusal {
  /** `final` can't change by waiting; the others may. */
  kind: 'quota' | 'final' | 'passing';
  message: string;
  /** When it is tried again. */
  retryAt: Date;
}

export type Action =
  | { type: 'createPod'; pod: NewPod }
  | { type: 'openChannel'; pod: Pod; limits: TranscriptLimits }
  | { type: 'execute'; podUID: string; command: Extract<Command, { execute: unknown }> }
  | { type: 'interrupt'; podUID: string; runUID: string }
  | { type: 'closeChannel'; podUID: string }
  | { type: 'readJournal'; pod: Pod; limits: TranscriptLimits }
  | { type: 'adoptPod'; name: string; patch: object }
  | { type: 'deletePod'; name: string; uid: string }
  | { type: 'deleteRun' }
  | { type: 'event'; kind: 'Normal' | 'Warning'; reason: string; note: string };

/**
 * What to do, in this order: the status is written first, where it differs, and nothing else happens unless that
 * write succeeded. So the API always says what may have been done before it is done.
 */
export interface Plan {
  status?: CodeRunStatus;
  actions: Action[];
  /** Look again after this many milliseconds, if nothing changes before. */
  after?: number;
}

/** What either plan does, and the earlier of their next looks; the status is the first one's. */
export function bothOf(one: Plan, other: Omit<Plan, 'status'>): Plan {
  const waits = [one.after, other.after].filter((after) => after !== undefined);
  return {
    ...one,
    actions: [...one.actions, ...other.actions],
    ...(waits.length > 0 && { after: Math.min(...waits) }),
  };
}
