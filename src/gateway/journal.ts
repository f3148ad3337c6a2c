/** The journal of a run, read from its sandbox pod's log: hostile text, of which only valid events of this run get through. */

import type { CodeRun } from '../api/coderun.ts';
import { KubeError } from '../kube/error.ts';
import { lines } from '../sandbox/lines.ts';
import { type AgentEvent, JOURNAL_LIMIT_BYTES, parseEvent } from '../sandbox/protocol.ts';
import type { GatewayDeps } from './deps.ts';

export type RunEvent = Extract<AgentEvent, { id: string }>;

interface JournalOptions {
  follow: boolean;
  signal: AbortSignal;
}

/** More than a journal holds, together with what the agent says outside of runs. */
const READ_LIMIT_BYTES = JOURNAL_LIMIT_BYTES + 2 * 1024 * 1024;

/** The events of the run `id` in `log`, up to its exit; everything else in there is passed over. */
export async function* runEvents(log: AsyncIterable<Uint8Array>, id: string): AsyncGenerator<RunEvent> {
  for await (const line of lines(log)) {
    const event = parseEvent(line);
    if (!event || !('id' in event) || event.id !== id) continue;
    yield event;
    if ('exit' in event) return;
  }
}

/** The events of `run` as its pod's log has them; none where the run has no pod, or one without a log (any more). */
export async function* readJournal(
  { kube, config }: Pick<GatewayDeps, 'kube' | 'config'>,
  run: CodeRun,
  { follow, signal }: JournalOptions,
): AsyncGenerator<RunEvent> {
  const { uid, namespace = '' } = run.metadata;
  const pod = run.status?.sandbox?.podName;
  if (!pod) return;
  const options = { container: config.sandboxContainer, limitBytes: READ_LIMIT_BYTES, follow, signal };
  try {
    yield* runEvents(kube.readLog(namespace, pod, options), uid);
  } catch (error) {
    // 404: the pod is gone. 400: its container has not started, or its log is gone.
    if (!(error instanceof KubeError && (error.code === 404 || error.code === 400))) throw error;
  }
}
