/** The API group and every key that this project writes on objects of Kubernetes. */

export const GROUP = 'coderun.dev';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;
/** Not `coderun`: kubectl takes that for the category, so that `kubectl get coderun NAME` would fail. */
export const CATEGORY = 'coderun-dev';

/** A kind of object: how it is called in manifests and where it lies in the REST API. */
export interface ResourceType {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

const ours = (kind: string, plural: string, namespaced: boolean): ResourceType => ({
  apiVersion: API_VERSION,
  kind,
  plural,
  namespaced,
});

export const CODE_RUNS = ours('CodeRun', 'coderuns', true);
export const CODE_BATCHES = ours('CodeBatch', 'codebatches', true);
export const REPL_SESSIONS = ours('ReplSession', 'replsessions', true);
export const SANDBOX_POOLS = ours('SandboxPool', 'sandboxpools', true);
export const SANDBOX_CLASSES = ours('SandboxClass', 'sandboxclasses', false);

/** On everything that this program creates. */
export const LABEL_MANAGED_BY = 'app.kubernetes.io/managed-by';
export const MANAGER = 'coderun';
/** On every sandbox pod; its value is the network mode, which the NetworkPolicies select by. */
export const LABEL_NETWORK = `${GROUP}/network`;
/** On every sandbox pod: `true`. The admission policy and the controller's watch select by it. */
export const LABEL_SANDBOX = `${GROUP}/sandbox`;
/** On a sandbox pod: the name of its SandboxClass, shortened to a label's length. */
export const LABEL_CLASS = `${GROUP}/class`;
/** On a sandbox pod: the UID of the CodeRun that it runs. */
export const LABEL_RUN = `${GROUP}/run-uid`;
/** On a sandbox pod: the UID of the ReplSession that it holds. */
export const LABEL_SESSION = `${GROUP}/session-uid`;
/** On a sandbox pod that waits or waited in a pool: the name of the pool, shortened to a label's length. */
export const LABEL_POOL = `${GROUP}/pool`;
/** On a sandbox pod of a pool: the generation of the class that it was made by. */
export const LABEL_CLASS_GENERATION = `${GROUP}/class-generation`;
/** On a sandbox pod of a pool: which agent it runs. */
export const LABEL_AGENT = `${GROUP}/agent-version`;
/** On a CodeRun that a CodeBatch made: the name of the batch, shortened to a label's length. */
export const LABEL_BATCH = `${GROUP}/batch`;
/** On a CodeRun that a CodeBatch made: the name of its item. */
export const LABEL_ITEM = `${GROUP}/item`;
/** On what an API key has created: the id of the key. */
export const LABEL_API_KEY = `${GROUP}/api-key`;
/** On a SandboxClass: `"true"` makes it the class of runs that name none. */
export const ANNOTATION_DEFAULT_CLASS = `${GROUP}/is-default-class`;

/** The namespace of controller and gateway, and the one that the anonymous caller of a quickstart works in. */
export const SYSTEM_NAMESPACE = 'coderun-system';
export const SANDBOX_NAMESPACE = 'coderun-sandboxes';

/** The RuntimeClass whose sandboxes have no network stack, so that no policy has to be enforced before they start. */
export const NO_NETWORK_RUNTIME_CLASS = 'gvisor-nonet';
