/** The settings of the program: environment → typed and frozen. The only reader of process.env. */

import { z } from 'zod';
import { ObjectName } from './api/schema.ts';

const seconds = (usual: number) => z.coerce.number().int().min(1).max(86_400).default(usual);
const port = (usual: number) => z.coerce.number().int().min(0).max(65_535).default(usual);

const perMinute = (usual: number) => z.coerce.number().int().min(1).max(10_000_000).default(usual);

/** One setting a field: its meaning, its default, and the bounds that are checked at the start. */
const Environment = z.object({
  CODERUN_LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error'])
    .default('info')
    .describe('The least severe log line that is written.'),
  CODERUN_HEALTH_PORT: port(8081).describe('Port of /livez, /readyz and /metrics.'),
  CODERUN_CONTEXT: z.string().optional().describe('Context of the kubeconfig; outside of a cluster only.'),
  KUBERNETES_SERVICE_HOST: z.string().optional().describe('Set by Kubernetes in every pod: the API server.'),
  KUBERNETES_SERVICE_PORT: z.string().optional().describe('Set by Kubernetes in every pod: its port.'),
  POD_NAME: z.string().default('coderun').describe('Name of the pod, by which a leader is known in its Lease.'),
  POD_NAMESPACE: ObjectName.default('coderun-system').describe('Namespace of the pod, where the Lease lies.'),
  CODERUN_WORKERS: z.coerce
    .number()
    .int()
    .min(1)
    .max(256)
    .default(16)
    .describe('Runs that the controller looks at at once.'),
  CODERUN_MAX_STARTING: z.coerce
    .number()
    .int()
    .min(1)
    .max(1000)
    .default(16)
    .describe('Runs and sessions that may be starting a sandbox at once; others are queued, in turn by namespace.'),
  CODERUN_POOL_STARTING: z.coerce
    .number()
    .int()
    .min(1)
    .max(100)
    .default(4)
    .describe('Sandboxes of one pool that may be starting at once.'),
  CODERUN_PENDING_TIMEOUT_SECONDS: seconds(300).describe('How long a run or a session may wait for its sandbox.'),
  CODERUN_IMAGE_PULL_GRACE_SECONDS: seconds(60).describe('How long the image of a sandbox may fail to be pulled.'),
  CODERUN_TIMEOUT_GRACE_SECONDS: seconds(5).describe(
    'What an agent gets beyond a timeout to end the program and say so.',
  ),
  CODERUN_LEASE_SECONDS: seconds(15).describe('How long a leader that fell silent is waited for.'),
  CODERUN_LEASE_RENEW_SECONDS: seconds(10).describe('How long a leader tries to renew its Lease before it gives up.'),
  CODERUN_LEASE_RETRY_SECONDS: seconds(2).describe('How often a Lease is renewed or asked for.'),
  CODERUN_GATEWAY_HOST: z.string().default('0.0.0.0').describe('Address that the gateway listens on.'),
  CODERUN_GATEWAY_PORT: port(8080).describe('Port that the gateway listens on.'),
  CODERUN_ANONYMOUS_NAMESPACE: ObjectName.optional().describe(
    'Namespace of callers who do not say who they are. Unset: they are turned away.',
  ),
  CODERUN_TOKEN_AUDIENCE: z
    .string()
    .max(253)
    .optional()
    .describe('Audience that a token of Kubernetes must be for. Unset: that of the API server.'),
  CODERUN_QUEUED_RUNS: z.coerce
    .number()
    .int()
    .min(1)
    .max(100_000)
    .default(1000)
    .describe('Runs and sessions of one namespace that may wait for a sandbox; beyond them the gateway answers 429.'),
  CODERUN_REQUESTS_PER_MINUTE: perMinute(6000).describe(
    'Requests of one caller in a minute, where their API key says nothing else.',
  ),
  CODERUN_NAMESPACE_REQUESTS_PER_MINUTE: perMinute(12_000).describe(
    'Requests of all callers of one namespace in a minute.',
  ),
  CODERUN_TLS_CERT_FILE: z
    .string()
    .optional()
    .describe('File of the certificate chain that the gateway shows, read again when it changes. Unset: plain HTTP.'),
  CODERUN_TLS_KEY_FILE: z.string().optional().describe('File of the private key of the certificate.'),
  CODERUN_LLM_BASE_URL: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('Language model of the agent, by the chat completions protocol: https://HOST/v1. Unset: no agent.'),
  CODERUN_LLM_API_KEY_FILE: z.string().optional().describe('File with the key of the language model.'),
  CODERUN_LLM_MODEL: z
    .string()
    .max(1024)
    .regex(/^[^\s,]+(\s*,\s*[^\s,]+)*$/, 'must be names of models, separated by commas')
    .optional()
    .describe('Models that tasks may ask for, separated by commas; the first is that of tasks which name none.'),
  CODERUN_LLM_TIMEOUT_SECONDS: seconds(120).describe('How long one answer of the language model may take.'),
});

export type Config = Readonly<z.output<typeof Environment>>;

/** Reads the environment. Throws an Error that names each variable that is wrong and what it may be. */
export function loadConfig(environment: NodeJS.ProcessEnv = process.env): Config {
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = Environment.safeParse(set);
  if (parsed.success) return Object.freeze(parsed.data);
  const faults = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new Error(`The environment is not valid. ${faults.join('; ')}`);
}

/** Every setting with its default and its meaning, as docs/configuration.md lists them. */
export const describeSettings = (): { name: string; usual: string; meaning: string }[] =>
  Object.entries(z.toJSONSchema(Environment, { io: 'input', unrepresentable: 'any' }).properties ?? {}).map(
    ([name, schema]) => ({
      name,
      usual: typeof schema === 'object' && 'default' in schema ? String(schema.default) : '',
      meaning: (typeof schema === 'object' && schema.description) || '',
    }),
  );
