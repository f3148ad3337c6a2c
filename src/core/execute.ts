/** The order to execute a run, as the agent takes it. */

import type { CodeRun } from '../api/coderun.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import type { ExecuteCommand } from '../sandbox/protocol.ts';
import type { RunRequest } from './request.ts';

export function executeCommand(
  run: CodeRun,
  sandboxClass: SandboxClass,
  request: RunRequest,
  code: string,
  epoch: number,
): ExecuteCommand {
  const { spec } = run;
  const { packageIndexURL } = sandboxClass.spec;
  const files = spec.files?.map(({ path, content, contentBase64 }) => ({
    path,
    contentBase64: contentBase64 ?? Buffer.from(content ?? '').toString('base64'),
  }));
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
      ...(spec.packages && { packages: spec.packages }),
      ...(packageIndexURL && { packageIndexURL }),
      ...(spec.artifacts && { artifacts: spec.artifacts }),
    },
  };
}
