/** Every metric of the program, by its name: those of controller-runtime under their usual names, ours under coderun_. */

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Reason } from '../api/reasons.ts';
import type { SessionReason, SessionState } from '../api/session-reasons.ts';

/** Of what takes milliseconds, in seconds. */
export const FAST_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const LONG_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600];

/** What is counted about runs. */
export interface RunMetrics {
  /** A run was started after waiting for so many seconds. */
  queued(seconds: number, warm: boolean): void;
  /** A run ended; its program ran for so many seconds. */
  finished(reason: Reason, language: string, seconds: number): void;
}

export function createRegistry(): Registry {
  const register = new Registry();
  collectDefaultMetrics({ register });
  return register;
}

export function runMetrics(register: Registry): RunMetrics {
  const registers = [register];
  const queue = new Histogram({
    name: 'coderun_run_queue_seconds',
    help: 'Time from the creation of a CodeRun to the start of its program.',
    labelNames: ['warm'],
    buckets: LONG_BUCKETS,
    registers,
  });
  const finished = new Counter({
    name: 'coderun_runs_finished_total',
    help: 'CodeRuns that have ended, by reason.',
    labelNames: ['reason', 'language'],
    registers,
  });
  const duration = new Histogram({
    name: 'coderun_run_duration_seconds',
    help: 'How long the programs of CodeRuns ran.',
    labelNames: ['language'],
    buckets: LONG_BUCKETS,
    registers,
  });
  return {
    queued: (seconds, warm) => queue.observe({ warm: String(warm) }, seconds),
    finished: (reason, language, seconds) => {
      finished.inc({ reason, language });
      duration.observe({ language }, seconds);
    },
  };
}

/** What is counted about sessions. */
export interface SessionMetrics {
  /** A session became ready so many seconds after its creation. */
  started(seconds: number, warm: boolean): void;
  ended(reason: SessionReason): void;
}

/** `count` gives how many sessions there are in each state, when the metrics are read. */
export function sessionMetrics(register: Registry, count: () => Record<SessionState, number>): SessionMetrics {
  const registers = [register];
  new Gauge({
    name: 'coderun_sessions',
    help: 'ReplSessions there are, by state.',
    labelNames: ['state'],
    registers,
    collect() {
      for (const [state, sessions] of Object.entries(count())) this.set({ state }, sessions);
    },
  });
  const start = new Histogram({
    name: 'coderun_session_start_seconds',
    help: 'Time from the creation of a ReplSession to its being ready.',
    labelNames: ['warm'],
    buckets: LONG_BUCKETS,
    registers,
  });
  const ended = new Counter({
    name: 'coderun_sessions_ended_total',
    help: 'ReplSessions that have ended, by reason.',
    labelNames: ['reason'],
    registers,
  });
  return {
    started: (seconds, warm) => start.observe({ warm: String(warm) }, seconds),
    ended: (reason) => ended.inc({ reason }),
  };
}

/** A gauge whose value is read when the metrics are. */
export function observedGauge(register: Registry, name: string, help: string, value: () => number): void {
  new Gauge({
    name,
    help,
    registers: [register],
    collect() {
      this.set(value());
    },
  });
}

export function leaderGauge(register: Registry, lease: string): (isLeader: boolean) => void {
  const gauge = new Gauge({
    name: 'leader_election_master_status',
    help: 'Whether this process is the leader.',
    labelNames: ['name'],
    registers: [register],
  });
  gauge.set({ name: lease }, 0);
  return (isLeader) => gauge.set({ name: lease }, isLeader ? 1 : 0);
}

/** What the gateway counts: requests by the pattern of their route, and those that are held. */
export function gatewayMetrics(register: Registry) {
  const registers = [register];
  const labelNames = ['method', 'route', 'code'];
  const duration = new Histogram({
    name: 'coderun_http_request_duration_seconds',
    help: 'How long requests took.',
    labelNames,
    buckets: LONG_BUCKETS,
    registers,
  });
  const held = new Gauge({
    name: 'coderun_http_requests_held',
    help: 'Requests that wait for a run or stream it.',
    registers,
  });
  return {
    requestFinished: (request: { method: string; route: string; status: number; seconds: number }) =>
      duration.observe({ method: request.method, route: request.route, code: request.status }, request.seconds),
    heldRequests: (count: number) => held.set(count),
  };
}
