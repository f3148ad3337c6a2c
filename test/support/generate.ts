/** `npm run generate`: writes what is made from the sources, and committed: crds/ and pages of docs/. */

import { writeFileSync } from 'node:fs';
import { crds } from '../../src/api/crds.ts';
import { toYaml } from '../../src/api/yaml.ts';
import { configurationPage } from './configuration.ts';
import { httpApiPage } from './http-api.ts';

const write = (path: string, text: string) => writeFileSync(new URL(`../../${path}`, import.meta.url), text);

for (const [name, crd] of Object.entries(crds())) write(`crds/${name}.yaml`, toYaml(crd));
write('docs/configuration.md', configurationPage());
write('docs/http-api.md', await httpApiPage());
