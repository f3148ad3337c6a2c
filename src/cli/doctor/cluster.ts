/** What `coderun doctor` reads from the cluster itself, where it is spoken to: the classes and what they stand on. */

import { ANNOTATION_DEFAULT_CLASS, type ResourceType, SANDBOX_CLASSES } from '../../api/group.ts';
import type { KubernetesObject } from '../../api/object.ts';
import type { SandboxClass } from '../../api/sandboxclass.ts';
import { isNotFound } from '../../kube/error.ts';
import type { Kube } from '../../kube/port.ts';
import type { Finding } from './checks.ts';

const RUNTIME_CLASSES: ResourceType = {
  apiVersion: 'node.k8s.io/v1',
  kind: 'RuntimeClass',
  plural: 'runtimeclasses',
  namespaced: false,
};

/** Whether the class is there, and the RuntimeClass that it names. */
export async function findRuntimeClass(kube: Kube, className: string | undefined): Promise<Finding> {
  const { items } = await kube.list<SandboxClass>(SANDBOX_CLASSES, {});
  const wanted = items.find(({ metadata }) =>
    className === undefined ? metadata.annotations?.[ANNOTATION_DEFAULT_CLASS] === 'true' : metadata.name === className,
  );
  if (!wanted) {
    const names = items.map(({ metadata }) => metadata.name).join(', ') || 'none';
    const what =
      className === undefined ? 'no SandboxClass is marked as default' : `there is no SandboxClass ${className}`;
    return { state: 'FAILED', detail: `${what}; there are: ${names}` };
  }
  const { runtimeClassName, network } = wanted.spec;
  const told = `SandboxClass ${wanted.metadata.name}: network ${network}, RuntimeClass ${runtimeClassName}`;
  try {
    const { handler } = await kube.get<KubernetesObject & { handler: string }>(
      RUNTIME_CLASSES,
      undefined,
      runtimeClassName,
    );
    return { state: 'ok', detail: `${told}, handler ${handler}` };
  } catch (error) {
    if (isNotFound(error)) return { state: 'FAILED', detail: `${told}, which does not exist` };
    throw error;
  }
}
