/** What the rest of the program may ask of the API server. `client.ts` implements it; nothing else talks to it. */

import type { ResourceType } from '../api/group.ts';
import type { KubernetesObject } from '../api/object.ts';

export interface List<T> {
  items: T[];
  metadata: { resourceVersion: string; continue?: string };
}

export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }
  | { type: 'BOOKMARK'; resourceVersion: string };

export interface ListOptions {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  limit?: number;
  continue?: string;
  /** `0` reads the API server's watch cache; absent is a consistent read. */
  resourceVersion?: string;
  signal?: AbortSignal;
}

export interface WatchOptions {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  resourceVersion: string;
  timeoutSeconds: number;
  signal: AbortSignal;
}

export interface DeleteOptions {
  /** Preconditions: the object is deleted only if it still is this one. */
  uid?: string;
  resourceVersion?: string;
  gracePeriodSeconds?: number;
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
}

export interface PatchOptions {
  /** `apply` creates what is not there, and takes its fields over from whoever else wrote them. */
  strategy: 'merge' | 'json' | 'apply';
  subresource?: 'status' | 'resize';
}

/** Both directions of a process in a container. Leaving a loop over the output early closes it. */
export interface AttachedStream {
  /** Resolves once the transport has taken the bytes; rejects when the stream has ended. */
  write(data: string | Uint8Array): Promise<void>;
  /** What the container writes to stdout, in order; reading slowly slows the sender down. Ends when the stream ends. */
  readonly output: AsyncIterable<Uint8Array>;
  /** Resolves once, when the stream has ended, with why. Never rejects. */
  readonly ended: Promise<StreamEnd>;
  close(): void;
}

export interface StreamEnd {
  /** `closed`: by us; `ended`: the process or the server ended it in order; `broken`: anything else. */
  kind: 'closed' | 'ended' | 'broken';
  message: string;
}

export interface LogOptions {
  container: string;
  follow?: boolean;
  limitBytes?: number;
  /** RFC 3339: what was written before is left out. */
  sinceTime?: string;
  signal?: AbortSignal;
}

/**
 * All methods reject with `KubeError` where the API server refuses or can't be reached, and with `AbortError` where
 * their signal aborts. What can't do harm twice is tried again before that, for thirty seconds at most.
 */
export interface Kube {
  get<T extends KubernetesObject>(type: ResourceType, namespace: string | undefined, name: string): Promise<T>;
  list<T extends KubernetesObject>(type: ResourceType, options?: ListOptions): Promise<List<T>>;
  /**
   * Ends when the server ends it or the signal aborts; throws `KubeError` for an ERROR event, a refusal or a broken
   * connection. Bookmarks come once a minute, if anything was written since.
   */
  watch<T extends KubernetesObject>(type: ResourceType, options: WatchOptions): AsyncIterable<WatchEvent<T>>;
  /** Creates `object` in the namespace of its metadata. */
  create<T extends object>(type: ResourceType, object: NewObject): Promise<T>;
  /** PUT of the whole object; its resourceVersion must be current, or the answer is a conflict. */
  replace<T extends KubernetesObject>(type: ResourceType, object: T): Promise<T>;
  /** PUT of the status subresource; the object's resourceVersion must be current, or the answer is a conflict. */
  replaceStatus<T extends KubernetesObject>(type: ResourceType, object: T): Promise<T>;
  patch<T extends KubernetesObject>(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    patch: unknown,
    options: PatchOptions,
  ): Promise<T>;
  delete(type: ResourceType, namespace: string | undefined, name: string, options?: DeleteOptions): Promise<void>;
  attach(namespace: string, pod: string, container: string, signal: AbortSignal): Promise<AttachedStream>;
  /**
   * Starts `command` beside the process of a container: stdin and stdout of it; what it writes to stderr is dropped.
   * Never tried again here, since a command that was started once may have done something.
   */
  exec(
    namespace: string,
    pod: string,
    container: string,
    command: readonly string[],
    signal: AbortSignal,
  ): Promise<AttachedStream>;
  /** The log of a container as bytes; ends when the log ends (without `follow`, where it ends now) or the signal aborts. */
  readLog(namespace: string, pod: string, options: LogOptions): AsyncIterable<Uint8Array>;
}

/** An object as it is sent for creation: what the server fills in is missing. */
export interface NewObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name?: string;
    generateName?: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
}
