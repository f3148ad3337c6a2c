/** The operator's manifests as they are applied: with the images of this installation, and a mark that restarts pods when an image changes. */

import { dump, loadAll } from 'js-yaml';
import { OPERATOR_IMAGE, SANDBOX_IMAGE } from './images.ts';

export interface InstalledImages {
  /** References that the cluster's nodes can run. */
  readonly operator: string;
  readonly sandbox: string;
  /** Changes whenever the operator's image does. */
  readonly revision: string;
}

interface Workload {
  kind?: string;
  spec?: { template?: { metadata?: { annotations?: Record<string, string> } } };
}

const ANNOTATION = 'coderun.dev/image-revision';

/** `rendered` is what kustomize made of an overlay. */
export function withImages(rendered: string, images: InstalledImages): string {
  const text = rendered
    .replaceAll(`image: ${OPERATOR_IMAGE}`, `image: ${images.operator}`)
    .replaceAll(`image: ${SANDBOX_IMAGE}`, `image: ${images.sandbox}`);
  return loadAll(text)
    .map((document) => dump(marked(document as Workload, images.revision), { noRefs: true }))
    .join('---\n');
}

function marked(object: Workload, revision: string): Workload {
  const template = object.spec?.template;
  if (object.kind !== 'Deployment' || template === undefined) return object;
  template.metadata = {
    ...template.metadata,
    annotations: { ...template.metadata?.annotations, [ANNOTATION]: revision },
  };
  return object;
}
