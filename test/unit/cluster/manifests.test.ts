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
kind: Deployment
spec:
  template:
    spec:
      containers:
      - image: coderun/package-index:dev
---
kind: Deployment
spec:
  template:
    spec:
      containers:
      - image: example.org/another:1
---
kind: SandboxClass
spec:
  image: coderun/sandbox:dev
---
kind: Service
spec: {}
`;

test('manifests name the images of this installation, and pods restart when the revision of theirs changes', () => {
  const images = {
    operator: { reference: 'example.org/operator:1', revision: 'sha256:1' },
    sandbox: { reference: 'example.org/sandbox:2', revision: 'sha256:2' },
    packageIndex: { reference: 'example.org/package-index:3', revision: 'sha256:3' },
  };
  expect(loadAll(withImages(RENDERED, images))).toEqual([
    {
      kind: 'Deployment',
      spec: {
        template: {
          metadata: { annotations: { kept: '1', 'coderun.dev/image-revision': 'sha256:1' } },
          spec: { containers: [{ image: 'example.org/operator:1' }] },
        },
      },
    },
    {
      kind: 'Deployment',
      spec: {
        template: {
          metadata: { annotations: { 'coderun.dev/image-revision': 'sha256:3' } },
          spec: { containers: [{ image: 'example.org/package-index:3' }] },
        },
      },
    },
    { kind: 'Deployment', spec: { template: { spec: { containers: [{ image: 'example.org/another:1' }] } } } },
    { kind: 'SandboxClass', spec: { image: 'example.org/sandbox:2' } },
    { kind: 'Service', spec: {} },
  ]);
});
