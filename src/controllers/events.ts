/** Events of Kubernetes about a run or a batch: what `kubectl describe` shows. Best effort, and never in the way of a run. */

import { createHash } from 'node:crypto';
import type { KubernetesObject } from '../api/object.ts';
import type { Kube } from '../kube/port.ts';
import { EVENTS } from '../kube/resources.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../telemetry/logger.ts';

const NOTE_LIMIT = 1024;

export interface EventRecorder {
  /** Records that `reason` came about; the same reason for the same object gives one Event. Returns at once. */
  record(object: KubernetesObject, kind: 'Normal' | 'Warning', reason: string, note: string): void;
}

export function eventRecorder(kube: Kube, clock: Clock, log: Logger, instance: string): EventRecorder {
  return {
    record(object, kind, reason, note) {
      const { name, namespace, uid } = object.metadata;
      const suffix = createHash('sha256').update(`${uid}/${reason}`).digest('hex').slice(0, 16);
      const event = {
        apiVersion: EVENTS.apiVersion,
        kind: EVENTS.kind,
        metadata: { name: `${name}.${suffix}`, ...(namespace && { namespace }) },
        eventTime: clock.now().toISOString().replace('Z', '000Z'),
        reportingController: 'coderun.dev/controller',
        reportingInstance: instance.slice(0, 128),
        action: 'Reconcile',
        type: kind,
        reason,
        note: note.slice(0, NOTE_LIMIT),
        regarding: { apiVersion: object.apiVersion, kind: object.kind, name, namespace, uid },
      };
      kube.create(EVENTS, event).catch((error: unknown) => {
        log.debug({ reason, err: error }, 'Event not recorded');
      });
    },
  };
}
