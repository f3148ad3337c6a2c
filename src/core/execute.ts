/** The orders to execute a run and to open a sandbox for a session, as the agent takes them. */

import type { CodeRun } from '../api/coderun.ts';
import type { ReplSession, ReplSessionSpec } from '../api/replsession.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import type { ExecuteCommand, OpenCommand } from '../sandbox/protocol.ts';
import type { ResourceRequest, RunRequest } from './request.ts';

export function executeCommand(
  run: CodeRun,
  sandboxClass: SandboxClass,
  request: RunRequest,
  code: string,
  epoch: number,
): ExecuteCommand {
  const { spec } = run;
  const files = filesOf(spec);
  return {
    execute: {
      id: run.metadata.uid,
      epoch,
      language: spec.language,
      ...(request.command && { command: request.command }),
      code,
      timeoutSeconds: request.timeoutSeconds,
      memoryBytes: request.memory,
      ...(spec.stdin !== undefined && { stdin: spec.stdin }),
      ...(spec.args && { args: spec.args }),
      ...(spec.env && { env: spec.env }),
      ...(files && { files }),
      ...packagesOf(spec, sandboxClass),
      ...(spec.artifacts && { artifacts: spec.artifacts }),
    },
  };
}

export function openCommand(
  { metadata, spec }: ReplSession,
  sandboxClass: SandboxClass,
  { memory }: ResourceRequest,
  epoch: number,
): OpenCommand {
  const files = filesOf(spec);
  return {
    open: {
      id: metadata.uid,
      epoch,
      memoryBytes: memory,
      ...(spec.env && { env: spec.env }),
      ...(files && { files }),
      ...packagesOf(spec, sandboxClass),
    },
  };
}

const packagesOf = ({ packages }: Pick<ReplSessionSpec, 'packages'>, { spec }: SandboxClass) => ({
  ...(packages && { packages }),
  ...(spec.packageIndexURL && { packageIndexURL: spec.packageIndexURL }),
  ...(spec.allowSourceBuilds && { allowSourceBuilds: true }),
});

const filesOf = ({ files }: Pick<ReplSessionSpec, 'files'>) =>
  files?.map(({ path, content, contentBase64 }) => ({
    path,
    contentBase64: contentBase64 ?? Buffer.from(content ?? '').toString('base64'),
  }));
