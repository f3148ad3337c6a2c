/** The watch caches that controllers read. */

import type { CodeBatch } from '../api/codebatch.ts';
import type { CodeRun } from '../api/coderun.ts';
import type { Pod } from '../api/object.ts';
import type { ReplSession } from '../api/replsession.ts';
import type { SandboxClass } from '../api/sandboxclass.ts';
import type { SandboxPool } from '../api/sandboxpool.ts';
import type { Service } from '../core/package-index.ts';
import type { Store } from '../runtime/store.ts';
import type { NetworkPolicy } from './network.ts';

export interface Stores {
  runs: Store<CodeRun, 'pod' | 'batch' | 'session'>;
  batches: Store<CodeBatch>;
  sessions: Store<ReplSession, 'pod'>;
  pods: Store<Pod, 'run' | 'session' | 'pool' | 'pooled'>;
  pools: Store<SandboxPool>;
  classes: Store<SandboxClass>;
  policies: Store<NetworkPolicy>;
  /** Of coderun-system. */
  services: Store<Service>;
}
