import { loadAll } from 'js-yaml';
import { expect, test } from 'vitest';
import { withImages } from '../../cluster/manifests.ts';

const RENDERED = `
kind: Deployment
spec:
  template:
    metadata: {annotations: {kept: "1"}}
    spec:
      containers:
      - image: coderun/operator:dev
---
kind: SandboxClass
spec:
  image: coderun/sandbox:dev
---
kind: Service
spec: {}
`;

test('manifests name the images of this installation, and pods restart when the revision changes', () => {
  const images = { operator: 'example.org/operator:1', sandbox: 'example.org/sandbox:2', revision: 'sha256:3' };
  expect(loadAll(withImages(RENDERED, images))).toEqual([
    {
      kind: 'Deployment',
      spec: {
        template: {
          metadata: { annotations: { kept: '1', 'coderun.dev/image-revision': 'sha256:3' } },
          spec: { containers: [{ image: 'example.org/operator:1' }] },
        },
      },
    },
    { kind: 'SandboxClass', spec: { image: 'example.org/sandbox:2' } },
    { kind: 'Service', spec: {} },
  ]);
});
