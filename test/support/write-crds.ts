/** `npm run crds`: writes crds/ from the schemas. */

import { writeFileSync } from 'node:fs';
import { crds } from '../../src/api/crds.ts';
import { toYaml } from '../../src/api/yaml.ts';

for (const [name, crd] of Object.entries(crds())) {
  writeFileSync(new URL(`../../crds/${name}.yaml`, import.meta.url), toYaml(crd));
}
