/** SandboxClass: what kind of sandbox a run gets. Written by the administrator, like a StorageClass. */

import { z } from 'zod';
import { ResourceAmounts } from './coderun.ts';
import { SYSTEM_NAMESPACE } from './group.ts';
import type { ObjectMeta } from './object.ts';
import { KIB, Quantity, withRule } from './schema.ts';

export const NetworkMode = z.enum(['None', 'PackageIndex', 'Internet']);
export type NetworkMode = z.output<typeof NetworkMode>;

const Command = z.array(z.string().min(1).max(256)).min(1).max(16);
const Amounts = z.strictObject({
  cpu: Quantity.describe('Processor time, in cores: 500m is half a core.'),
  memory: Quantity.describe('Memory in bytes: 512Mi.'),
});

const Toleration = z.strictObject({
  key: z.string().max(317).optional().describe('Key of the taint.'),
  operator: z.enum(['Exists', 'Equal']).optional().describe('How key and value are compared.'),
  value: z.string().max(63).optional().describe('Value of the taint.'),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional().describe('Effect of the taint.'),
  tolerationSeconds: z.int().min(0).max(86_400).optional().describe('How long NoExecute is tolerated, in seconds.'),
});

// Both in the syntax that JavaScript and the API server share.
const SERVICE = `([a-z0-9]([-a-z0-9]*[a-z0-9])?)[.]${SYSTEM_NAMESPACE}[.]svc([.]cluster[.]local)?`;
const INDEX_URL = `^https?://(${SERVICE}|[0-9]{1,3}([.][0-9]{1,3}){3}|\\[[0-9a-f:.]+\\])(:[0-9]{1,5})?(/[!-~]*)?$`;

/** The Service of coderun-system that the URL of a package index names, and under which host. */
export function indexServiceOf(url: string): { service: string; host: string } | undefined {
  const [, host, service] = new RegExp(`^https?://(${SERVICE})([:/]|$)`).exec(url) ?? [];
  return host === undefined || service === undefined ? undefined : { service, host };
}

const fields = z.strictObject({
  image: z.string().min(1).max(1024).describe('Image of the sandbox; it needs Python 3.9 or later at python3.'),
  runtimeClassName: z.string().min(1).max(253).default('gvisor').describe('RuntimeClass of the sandbox pods.'),
  network: NetworkMode.default('None').describe(
    'What the sandbox reaches: None (nothing), PackageIndex (only the index service), Internet (no private addresses).',
  ),
  languages: z
    .strictObject({
      python: Command.optional().describe('Command that runs Python.'),
      bash: Command.optional().describe('Command that runs bash.'),
      javascript: Command.optional().describe('Command that runs JavaScript.'),
    })
    .default({ python: ['python3'], bash: ['bash'] })
    .describe('The languages on offer, each with the command that runs it.'),
  resources: z
    .strictObject({
      default: Amounts.default({ cpu: '1', memory: '512Mi' }).describe('What a run gets that asks for nothing.'),
      max: Amounts.default({ cpu: '2', memory: '2Gi' }).describe('The most that a run may ask for.'),
      overhead: ResourceAmounts.default({ memory: '96Mi' }).describe(
        'What the sandbox needs beside the program; it is added to the limits of the pod.',
      ),
      requests: ResourceAmounts.default({ cpu: '50m', memory: '128Mi' }).describe(
        'What a sandbox reserves on its node. Less than the limits lets more sandboxes share a node.',
      ),
      workspace: Quantity.default('128Mi').describe(
        'Size of the working directory in bytes; it lies in memory, and is added to the memory limit of the pod.',
      ),
    })
    .prefault({})
    .describe('Processor time and memory of the sandboxes.'),
  timeoutSeconds: z
    .strictObject({
      default: z.int().min(1).max(3600).default(30).describe('Timeout of runs that name none, in seconds.'),
      max: z.int().min(1).max(3600).default(3600).describe('The longest timeout that a run may ask for, in seconds.'),
    })
    .prefault({})
    .describe('How long runs may take, in seconds.'),
  outputLimitBytes: z
    .int()
    .min(KIB)
    .max(128 * KIB)
    .default(64 * KIB)
    .describe('How much of stdout, and of stderr, a status holds, in bytes.'),
  packageIndexURL: z
    .string()
    .max(1024)
    .regex(/^https?:\/\/[!-~]+$/, 'must be a URL that begins with http:// or https://')
    .optional()
    .describe(
      'URL of the package index. For network PackageIndex, whose sandboxes have no DNS, the host must be a Service of coderun-system, as in http://package-index.coderun-system.svc:8080/simple/, or an IP address; NetworkPolicy coderun-packageindex lets them reach only TCP 8080 of the pods package-index there.',
    ),
  allowSourceBuilds: z
    .boolean()
    .default(false)
    .describe(
      'Whether packages that have no wheel may be built from source, which runs their own code; otherwise only wheels are installed.',
    ),
  nodeSelector: z
    .record(z.string().max(317), z.string().max(63))
    .optional()
    .describe('Labels of the nodes that may run the sandboxes.'),
  tolerations: z.array(Toleration).max(32).optional().describe('Taints that the sandbox pods tolerate.'),
  preload: z
    .array(
      z
        .string()
        .max(128)
        .regex(/^[A-Za-z_][A-Za-z0-9_.]*$/, 'must be the name of a module'),
    )
    .max(32)
    .optional()
    .describe('Python modules that the sandboxes of a pool import while they wait.'),
  podTTLSecondsAfterFinished: z
    .int()
    .min(0)
    .max(86_400)
    .default(60)
    .describe('How long a sandbox pod, and with it the journal of its run, is kept after the run, in seconds.'),
  maxConcurrentPerNamespace: z
    .int()
    .min(1)
    .max(10_000)
    .optional()
    .describe('How many runs and sessions of one namespace may hold a sandbox of this class at once.'),
});

export const SandboxClassSpec = withRule(
  fields,
  {
    rule: `self.network != 'PackageIndex' || !has(self.packageIndexURL) || self.packageIndexURL.matches(r'${INDEX_URL}')`,
    message: `packageIndexURL: with network PackageIndex the host must be a Service of ${SYSTEM_NAMESPACE}, as in http://package-index.${SYSTEM_NAMESPACE}.svc:8080/simple/, or an IP address`,
  },
  ({ network, packageIndexURL }) =>
    network !== 'PackageIndex' || packageIndexURL === undefined || new RegExp(INDEX_URL).test(packageIndexURL),
);

export type SandboxClassSpec = z.output<typeof SandboxClassSpec>;

export interface SandboxClass {
  apiVersion: string;
  kind: 'SandboxClass';
  metadata: ObjectMeta;
  spec: SandboxClassSpec;
}
