/** What a run asks for, with the defaults of its class filled in and its maxima checked. */

import type { CodeRun, CodeRunSpec } from '../api/coderun.ts';
import { CodeRunSpec as CodeRunSpecSchema, SPEC_LIMIT_BYTES } from '../api/coderun.ts';
import type { Reason } from '../api/reasons.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import { storedBytes } from '../api/schema.ts';
import { amount } from './quantity.ts';

/** A run that can be started. */
export interface RunRequest {
  timeoutSeconds: number;
  /** Undefined for Python, which the agent's own runner executes. */
  command: string[] | undefined;
  /** Cores. */
  cpu: number;
  /** Bytes that the program may use. */
  memory: number;
}

/** Why a run can't be started, ever. */
interface Refusal {
  reason: Reason;
  message: string;
}

type Checked = { request: RunRequest } | { refusal: Refusal };

const invalid = (message: string): Checked => ({ refusal: { reason: 'InvalidSpec', message } });

/** Checks `run` against its class. The message of a refusal names the field and what to do. */
export function checkRun(run: CodeRun, sandboxClass: SandboxClass | undefined): Checked {
  const parsed = CodeRunSpecSchema.safeParse(run.spec);
  if (!parsed.success) return invalid(describe(parsed.error.issues[0]));
  const { spec } = run;
  const size = storedBytes(spec);
  if (size > SPEC_LIMIT_BYTES) return invalid(`spec takes ${size} bytes as JSON; the limit is ${SPEC_LIMIT_BYTES}`);
  if (spec.sessionRef) {
    const message = `spec.sessionRef: there is no ReplSession "${spec.sessionRef.name}" in this namespace`;
    return { refusal: { reason: 'SessionEnded', message } };
  }
  if (!sandboxClass) return invalid(missingClass(spec.className));
  return checkAgainstClass(spec, sandboxClass);
}

function checkAgainstClass(spec: CodeRunSpec, { metadata, spec: offer }: SandboxClass): Checked {
  const name = `SandboxClass "${metadata.name}"`;
  const command = offer.languages[spec.language];
  if (!command) {
    const offered = Object.keys(offer.languages).join(', ');
    return invalid(`spec.language: ${name} does not offer ${spec.language}; it offers ${offered}`);
  }
  const timeoutSeconds = spec.timeoutSeconds ?? Math.min(offer.timeoutSeconds.default, offer.timeoutSeconds.max);
  if (timeoutSeconds > offer.timeoutSeconds.max)
    return invalid(`spec.timeoutSeconds: ${timeoutSeconds} is more than the ${offer.timeoutSeconds.max} of ${name}`);
  const { default: usual, max } = offer.resources;
  const cpu = spec.resources?.cpu ?? usual.cpu;
  const memory = spec.resources?.memory ?? usual.memory;
  if (amount(cpu) <= 0 || amount(cpu) > amount(max.cpu))
    return invalid(`spec.resources.cpu: ${cpu} is not between 1m and the ${max.cpu} of ${name}`);
  if (amount(memory) < MINIMUM_MEMORY || amount(memory) > amount(max.memory))
    return invalid(`spec.resources.memory: ${memory} is not between 16Mi and the ${max.memory} of ${name}`);
  if (spec.packages?.length && offer.network === 'None') {
    const message = `spec.packages: ${name} has network None; packages need a class with network PackageIndex`;
    return { refusal: { reason: 'PackageInstallFailed', message } };
  }
  if (spec.packages?.length && !offer.packageIndexURL) {
    const message = `spec.packages: ${name} has no packageIndexURL; ask the administrator to set it`;
    return { refusal: { reason: 'PackageInstallFailed', message } };
  }
  const request = { timeoutSeconds, cpu: amount(cpu), memory: amount(memory) };
  return { request: { ...request, command: spec.language === 'python' ? undefined : command } };
}

/** Whether a sandbox that was started ahead has what the run asks for: as much processor time, and memory enough. */
export function fitsPool(run: CodeRun, sandboxClass: SandboxClass): boolean {
  const { resources, sessionRef } = run.spec;
  const { cpu, memory } = sandboxClass.spec.resources.default;
  const isSame = amount(resources?.cpu ?? cpu) === amount(cpu);
  return !sessionRef && isSame && amount(resources?.memory ?? memory) <= amount(memory);
}

/** With less, the interpreter itself doesn't start. */
const MINIMUM_MEMORY = 16 * 1024 * 1024;

const missingClass = (name: string | undefined): string =>
  name
    ? `spec.className: there is no SandboxClass "${name}"; kubectl get sandboxclasses lists those there are`
    : 'spec.className: no SandboxClass is marked as the default one; name one, or ask the administrator to mark one';

const describe = (issue: { path: PropertyKey[]; message: string } | undefined): string =>
  issue ? `${['spec', ...issue.path].join('.')}: ${issue.message}` : 'spec is invalid';
