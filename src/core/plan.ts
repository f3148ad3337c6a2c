/** World and plan of a CodeRun: what is known, and what is to be done about it. */

import type { CodeRun, CodeRunStatus } from '../api/coderun.ts';
import type { NewPod, Pod } from '../api/object.ts';
import type { ReplSession } from '../api/replsession.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import type { ChannelView } from '../sandbox/channels.ts';
import type { ExecuteCommand } from '../sandbox/protocol.ts';
import type { Transcript, TranscriptLimits } from '../sandbox/transcript.ts';
import type { Limits, Resize } from './resize.ts';
import type { SandboxParts } from './sandboxes.ts';

/** What is known of the sandbox that a run or a session has, or waits for. */
export interface SandboxWorld extends SandboxParts {
  sandboxClass: SandboxClass | undefined;
  /** The pod by its deterministic name or by the claim, as the watch last showed it. */
  pod: Pod | undefined;
  /** How the last try to create the pod was refused, or why there can be none. */
  refusedPod: PodRefusal | undefined;
  channel: ChannelView | undefined;
  /** A sandbox of a pool that fits and waits; reserved, so that nobody else is offered it. */
  waiting: WaitingSandbox | undefined;
  /** Whether a sandbox may be started now; its turn is waited for otherwise. */
  isAdmitted: boolean;
  /** When this process first saw the object: creationTimestamp knows only whole seconds. */
  firstSeen: Date;
  epoch: number;
  settings: PlanSettings;
}

/** Everything that a decision on a run is made from, gathered beforehand. */
export interface World extends SandboxWorld {
  run: CodeRun;
  /** The program: of the spec or of the ConfigMap it names. */
  code: { text: string } | { missing: string };
  /** The journal of the run, from the log of its pod: what it held, or that it could not be read. */
  journal: Transcript | 'unreadable' | undefined;
  /** Of a run with sessionRef: the session that it runs in. Pod and channel are then the session's, and are here. */
  home: Home | undefined;
}

/** The session of a run. */
export interface Home {
  /** Undefined where there is none of this name. */
  session: ReplSession | undefined;
  pod: Pod | undefined;
  /** The channel to its sandbox, and what is known of this run's execution. */
  channel: ChannelView | undefined;
  /** Whether no other run of the session comes before this one. */
  isNext: boolean;
}

/** A sandbox that a pool keeps, its agent reached and idle. */
export interface WaitingSandbox {
  pod: Pod;
  channel: ChannelView;
  /** Where it is not of the size that is asked for. */
  resize?: Resize;
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
  /** With `again`, the agent may have been given the order before. */
  | { type: 'execute'; podUID: string; command: ExecuteCommand; again?: boolean }
  | { type: 'interrupt'; podUID: string; runUID: string }
  | { type: 'resizePod'; sandbox: WaitingSandbox; limits: Limits }
  /** It can't be made that size, and others of its class need not be tried. */
  | { type: 'forgoResize'; sandbox: WaitingSandbox }
  | { type: 'closeChannel'; podUID: string }
  | { type: 'forgetExecution'; podUID: string }
  /** Reads what the run said from `since` on, or all that it said. */
  | { type: 'readJournal'; pod: Pod; limits: TranscriptLimits; since?: string }
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
  /** True where the sandbox that was offered is to be kept for the next look. */
  keepsOffer?: boolean;
  /** Look again after this many milliseconds, if nothing changes before. */
  after?: number;
}

/** What either does, and the earlier of their next looks; all else is the first one's. */
export function bothOf<T extends { actions: unknown[]; after?: number }>(
  one: T,
  other: { actions: T['actions']; after?: number },
): T {
  const waits = [one.after, other.after].filter((after) => after !== undefined);
  return {
    ...one,
    actions: [...one.actions, ...other.actions],
    ...(waits.length > 0 && { after: Math.min(...waits) }),
  };
}
