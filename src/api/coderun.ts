/** CodeRun: one piece of code, run once. The schema is the source of the CRD, of the HTTP body and of the types. */

import { z } from 'zod';
import type { Condition } from './conditions.ts';
import type { ObjectMeta } from './object.ts';
import {
  EnvName,
  KIB,
  ObjectName,
  PackageRequirement,
  Quantity,
  RelativePath,
  utf8Bytes,
  withoutNul,
  withRule,
  withTransition,
} from './schema.ts';

/** A spec, encoded as JSON, may be this long: control characters swell sixfold, and etcd takes 1.5 MiB an object. */
export const SPEC_LIMIT_BYTES = 768 * KIB;
export const STATUS_LIMIT_BYTES = 512 * KIB;
export const CODE_LIMIT_BYTES = 512 * KIB;

const Language = z.enum(['python', 'bash', 'javascript']);

export const EnvVar = z.strictObject({
  name: EnvName.describe(
    'Name of the variable. PATH and names that begin with LD_, PYTHON or KUBERNETES_ are refused.',
  ),
  value: withoutNul(z.string().max(32_768)).describe('Value of the variable, up to 32768 characters.'),
});

export const InputFile = withRule(
  z.strictObject({
    path: RelativePath.describe('Where the file is put: a relative path below the working directory.'),
    content: z.string().max(CODE_LIMIT_BYTES).optional().describe('Content as text.'),
    contentBase64: z
      .string()
      .max(700 * KIB)
      .regex(/^[A-Za-z0-9+/]*={0,2}$/, 'must be base64')
      .optional()
      .describe('Content as base64, for files that are not text.'),
  }),
  {
    rule: 'has(self.content) != has(self.contentBase64)',
    message: 'set exactly one of content and contentBase64',
  },
  (file) => (file.content === undefined) !== (file.contentBase64 === undefined),
);

export const ResourceAmounts = z.strictObject({
  cpu: Quantity.optional().describe('Processor time, in cores: 500m is half a core.'),
  memory: Quantity.optional().describe('Memory that the program may use, in bytes: 512Mi.'),
});

const ConfigMapKeyRef = z.strictObject({
  name: z.string().min(1).max(253).describe('Name of a ConfigMap in the same namespace.'),
  key: z.string().min(1).max(253).describe('Key of the ConfigMap whose value is the code.'),
});

/** The fields of a spec, without the rules between them, so that an HTTP body can add its own beside them. */
export const codeRunFields = {
  code: z
    .string()
    .min(1)
    .max(CODE_LIMIT_BYTES)
    .refine((code) => utf8Bytes(code) <= CODE_LIMIT_BYTES, { message: 'must be 524288 bytes or less' })
    .optional()
    .describe('The program, 1 byte to 512 KiB. Set either this or codeFrom.'),
  codeFrom: z
    .strictObject({ configMapKeyRef: ConfigMapKeyRef.describe('A key of a ConfigMap.') })
    .optional()
    .describe('Where to read the program from, instead of code.'),
  language: Language.default('python').describe('Language of the program, one that the class offers.'),
  className: ObjectName.optional().describe('Name of the SandboxClass. Empty means the class marked as default.'),
  timeoutSeconds: z
    .int()
    .min(1)
    .max(3600)
    .optional()
    .describe(
      'How long the run may take once its sandbox is ready, in seconds. The class has the default and the maximum.',
    ),
  resources: ResourceAmounts.optional().describe('What the program may use, at most the maximum of its class.'),
  stdin: z.string().max(CODE_LIMIT_BYTES).optional().describe('Text that the program reads from its standard input.'),
  args: z
    .array(withoutNul(z.string().max(8192)))
    .max(256)
    .optional()
    .describe('Arguments of the program, up to 256.'),
  env: z.array(EnvVar).max(128).optional().describe('Environment variables of the program, up to 128.'),
  files: z
    .array(InputFile)
    .max(64)
    .optional()
    .describe('Files put into the working directory before the program starts, up to 64.'),
  packages: z
    .array(PackageRequirement)
    .max(32)
    .optional()
    .describe('Python packages to install first, by name and version. Needs a class with network PackageIndex.'),
  artifacts: z
    .array(z.string().min(1).max(256))
    .max(32)
    .optional()
    .describe('Globs below the working directory, such as *.png. Matching files are brought back into the status.'),
  sessionRef: z
    .strictObject({ name: ObjectName.describe('Name of a ReplSession in the same namespace.') })
    .optional()
    .describe(
      'Runs the program inside this ReplSession instead of a sandbox of its own, after those that came before it. ' +
        'className, resources and packages are then left out.',
    ),
  ttlSecondsAfterFinished: z
    .int()
    .min(0)
    .max(2_592_000)
    .default(3600)
    .describe('How long the CodeRun is kept after its end, in seconds, up to 30 days.'),
  cancelled: withTransition(z.boolean().default(false), {
    rule: 'self || !oldSelf',
    message: 'a cancelled run cannot be set back',
  }).describe('Set to true to cancel the run; it cannot be set back.'),
};

const WithCode = withRule(
  z.strictObject(codeRunFields),
  { rule: 'has(self.code) != has(self.codeFrom)', message: 'set exactly one of code and codeFrom' },
  (spec) => (spec.code === undefined) !== (spec.codeFrom === undefined),
);

/** What a session has been given for all of its executions. */
export const GIVEN_BY_SESSION = ['className', 'resources', 'packages'] as const;

/** One rule a field, so that the error names the field. */
export const CodeRunSpec = GIVEN_BY_SESSION.reduce(
  (schema, field) =>
    withRule(
      schema,
      {
        rule: `!has(self.sessionRef) || !has(self.${field})`,
        message: `${field} is the session's to say; leave it out beside sessionRef`,
      },
      (spec) => spec.sessionRef === undefined || spec[field] === undefined,
    ),
  WithCode,
);

const counter = z.int().min(0);

const ProgramError = z.strictObject({
  name: z.string().max(256).describe('Name of the error, such as ZeroDivisionError.'),
  value: z.string().max(8192).describe('Text of the error.'),
  traceback: z.string().max(65_536).describe('Traceback as the language prints it.'),
});

const RunResult = z.strictObject({
  mime: z
    .record(z.string().max(128), z.string())
    .describe('The result in each form it has, by MIME type; binary forms are base64.'),
});

const Artifact = z.strictObject({
  path: z.string().max(1024).describe('Path below the working directory.'),
  bytes: counter.describe('Size of the file in bytes.'),
  contentBase64: z.string().optional().describe('Content as base64, where it fits into the status.'),
  inJournal: z.boolean().optional().describe('True where the content is only in the journal of the sandbox pod.'),
});

const RunUsage = z.strictObject({
  cpuMilliseconds: counter.describe('Processor time of the program and its children, in milliseconds.'),
  peakMemoryBytes: counter.describe('Largest resident memory of the program, in bytes.'),
});

const RunOutput = z.strictObject({
  stdoutBytes: counter.describe('Bytes that the program wrote to its standard output.'),
  stderrBytes: counter.describe('Bytes that the program wrote to its standard error.'),
  stdoutTruncated: z.boolean().describe('True where stdout holds only the beginning.'),
  stderrTruncated: z.boolean().describe('True where stderr holds only the beginning.'),
});

const RunSandbox = z.strictObject({
  podName: z.string().max(253).describe('Name of the sandbox pod.'),
  podUID: z.string().max(64).optional().describe('UID of the sandbox pod.'),
  nodeName: z.string().max(253).optional().describe('Node of the sandbox pod.'),
  warm: z.boolean().optional().describe('True where the sandbox was started ahead and waited for the run.'),
  runtimeClassName: z.string().max(253).optional().describe('RuntimeClass of the sandbox pod.'),
  kernel: z.string().max(128).optional().describe('Kernel release as seen from inside the sandbox.'),
  network: z.string().max(32).optional().describe('Network mode of the sandbox: None, PackageIndex or Internet.'),
});

const Time = z.string().max(64).meta({ format: 'date-time' });

export const codeRunResultFields = {
  exitCode: z.int().min(0).max(255).optional().describe('Exit code of the program; absent where a signal ended it.'),
  signal: z.string().max(32).optional().describe('Name of the signal that ended the program, such as SIGKILL.'),
  stdout: z.string().optional().describe('Standard output, valid UTF-8, up to outputLimitBytes of the class.'),
  stderr: z.string().optional().describe('Standard error, valid UTF-8, up to outputLimitBytes of the class.'),
  output: RunOutput.optional().describe('How much the program wrote.'),
  error: ProgramError.optional().describe('The error that ended the program.'),
  results: z.array(RunResult).max(64).optional().describe('Value of the last expression, and figures.'),
  artifacts: z.array(Artifact).max(256).optional().describe('Files brought back from the working directory.'),
  startTime: Time.optional().describe('When the program was started.'),
  completionTime: Time.optional().describe('When the run ended.'),
  durationMilliseconds: counter.optional().describe('How long the program ran, in milliseconds.'),
  queueMilliseconds: counter.optional().describe('Time from creation to the start of the program, in milliseconds.'),
  usage: RunUsage.optional().describe('What the program used.'),
  sandbox: RunSandbox.optional().describe('Where the program ran.'),
};

/** What a status says beside its conditions; bounded when it is written, so the parts carry no bounds of their own. */
export const CodeRunResult = z.strictObject({
  ...codeRunResultFields,
  retrySafe: z.boolean().optional().describe('True where the very same run may be sent again without a double effect.'),
});

export type CodeRunSpec = z.output<typeof CodeRunSpec>;
export type CodeRunSpecInput = z.input<typeof CodeRunSpec>;
export type CodeRunStatus = z.output<typeof CodeRunResult> & { conditions?: Condition[]; observedGeneration?: number };

export interface CodeRun {
  apiVersion: string;
  kind: 'CodeRun';
  metadata: ObjectMeta;
  spec: CodeRunSpec;
  status?: CodeRunStatus;
}
