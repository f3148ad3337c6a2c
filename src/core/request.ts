/** What a run or a session asks for, with the defaults of its class filled in and its maxima checked. */

import { type CodeRun, type CodeRunSpec, CodeRunSpec as CodeRunSpecSchema, SPEC_LIMIT_BYTES } from '../api/coderun.ts';
import type { Reason } from '../api/reasons.ts';
import { type ReplSession, ReplSessionSpec } from '../api/replsession.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import { storedBytes } from '../api/schema.ts';
import type { SessionReason } from '../api/session-reasons.ts';
import { amount } from './quantity.ts';

/** What a sandbox is to have: cores, and bytes that programs may use. */
export interface ResourceRequest {
  cpu: number;
  memory: number;
}

/** A run that can be started. */
export interface RunRequest extends ResourceRequest {
  timeoutSeconds: number;
  /** Undefined for Python, which the agent's own runner executes. */
  command: string[] | undefined;
}

/** Why something can't be started, ever. */
interface Refusal {
  reason: Reason & SessionReason;
  message: string;
}

type Checked<T> = { request: T } | { refusal: Refusal };

const invalid = (message: string): { refusal: Refusal } => ({ refusal: { reason: 'InvalidSpec', message } });

/** Checks `run` against its class, or that of its session. The message of a refusal names the field and what to do. */
export function checkRun(run: CodeRun, sandboxClass: SandboxClass | undefined): Checked<RunRequest> {
  const { spec } = run;
  const fault = specFault(CodeRunSpecSchema, spec);
  if (fault) return invalid(fault);
  if (!sandboxClass) return invalid(missingClass(spec.className));
  const { metadata, spec: offer } = sandboxClass;
  const name = `SandboxClass "${metadata.name}"`;
  const command = offer.languages[spec.language];
  if (!command) {
    const offered = Object.keys(offer.languages).join(', ');
    return invalid(`spec.language: ${name} does not offer ${spec.language}; it offers ${offered}`);
  }
  const timeoutSeconds = spec.timeoutSeconds ?? Math.min(offer.timeoutSeconds.default, offer.timeoutSeconds.max);
  if (timeoutSeconds > offer.timeoutSeconds.max)
    return invalid(`spec.timeoutSeconds: ${timeoutSeconds} is more than the ${offer.timeoutSeconds.max} of ${name}`);
  const checked = checkSandbox(spec, sandboxClass);
  if ('refusal' in checked) return checked;
  return { request: { ...checked.request, timeoutSeconds, command: spec.language === 'python' ? undefined : command } };
}

/** Checks `session` against its class. The message of a refusal names the field and what to do. */
export function checkSession({ spec }: ReplSession, sandboxClass: SandboxClass | undefined): Checked<ResourceRequest> {
  const fault = specFault(ReplSessionSpec, spec);
  if (fault) return invalid(fault);
  if (!sandboxClass) return invalid(missingClass(spec.className));
  return checkSandbox(spec, sandboxClass);
}

/** What is wrong with a spec by itself; undefined where nothing is. */
function specFault(schema: typeof CodeRunSpecSchema | typeof ReplSessionSpec, spec: object): string | undefined {
  const parsed = schema.safeParse(spec);
  if (!parsed.success) return describe(parsed.error.issues[0]);
  const size = storedBytes(spec);
  return size > SPEC_LIMIT_BYTES ? `spec takes ${size} bytes as JSON; the limit is ${SPEC_LIMIT_BYTES}` : undefined;
}

type SandboxSpec = Pick<CodeRunSpec, 'resources' | 'packages'>;

function checkSandbox(spec: SandboxSpec, { metadata, spec: offer }: SandboxClass): Checked<ResourceRequest> {
  const name = `SandboxClass "${metadata.name}"`;
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
  return { request: { cpu: amount(cpu), memory: amount(memory) } };
}

/** Undefined where a sandbox that was started ahead has what is asked for: as much processor time, and memory enough. */
export function otherThanPooled({ resources }: SandboxSpec, sandboxClass: SandboxClass): ResourceRequest | undefined {
  const { cpu, memory } = sandboxClass.spec.resources.default;
  const wanted = { cpu: amount(resources?.cpu ?? cpu), memory: amount(resources?.memory ?? memory) };
  return wanted.cpu === amount(cpu) && wanted.memory <= amount(memory) ? undefined : wanted;
}

/** With less, the interpreter itself doesn't start. */
const MINIMUM_MEMORY = 16 * 1024 * 1024;

const missingClass = (name: string | undefined): string =>
  name
    ? `spec.className: there is no SandboxClass "${name}"; kubectl get sandboxclasses lists those there are`
    : 'spec.className: no SandboxClass is marked as the default one; name one, or ask the administrator to mark one';

const describe = (issue: { path: PropertyKey[]; message: string } | undefined): string =>
  issue ? `${['spec', ...issue.path].join('.')}: ${issue.message}` : 'spec is invalid';
