/** The operator's manifests as they are applied: with the images of this installation, and a mark that restarts pods when an image changes. */

import { dump, loadAll } from 'js-yaml';
import { OPERATOR_IMAGE, PACKAGE_INDEX_IMAGE, SANDBOX_IMAGE } from './images.ts';

export interface InstalledImage {
  /** A reference that the cluster's nodes can run. */
  readonly reference: string;
  /** Changes whenever the image does. */
  readonly revision: string;
}

export interface InstalledImages {
  readonly operator: InstalledImage;
  readonly sandbox: InstalledImage;
  readonly packageIndex: InstalledImage;
}

interface Workload {
  kind?: string;
  spec?: {
    template?: { metadata?: { annotations?: Record<string, string> }; spec?: { containers: { image: string }[] } };
  };
}

const ANNOTATION = 'coderun.dev/image-revision';

/** `rendered` is what kustomize made of an overlay. */
export function withImages(rendered: string, images: InstalledImages): string {
  const ours: [string, InstalledImage][] = [
    [OPERATOR_IMAGE, images.operator],
    [SANDBOX_IMAGE, images.sandbox],
    [PACKAGE_INDEX_IMAGE, images.packageIndex],
  ];
  const text = ours.reduce(
    (before, [name, { reference }]) => before.replaceAll(`image: ${name}`, `image: ${reference}`),
    rendered,
  );
  const revisions = new Map(ours.map(([, { reference, revision }]) => [reference, revision]));
  return loadAll(text)
    .map((document) => dump(marked(document as Workload, revisions), { noRefs: true }))
    .join('---\n');
}

function marked(object: Workload, revisions: ReadonlyMap<string, string>): Workload {
  const template = object.spec?.template;
  const revision = revisions.get(template?.spec?.containers[0]?.image ?? '');
  if (object.kind !== 'Deployment' || template === undefined || revision === undefined) return object;
  template.metadata = {
    ...template.metadata,
    annotations: { ...template.metadata?.annotations, [ANNOTATION]: revision },
  };
  return object;
}
