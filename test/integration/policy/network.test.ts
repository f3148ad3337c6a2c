/** The NetworkPolicies that deploy/base ships say what src/core/network.ts says. */

import { readFile } from 'node:fs/promises';
import { loadAll } from 'js-yaml';
import { expect, test } from 'vitest';
import { SANDBOX_NAMESPACE } from '../../../src/api/group.ts';
import { networkPolicies } from '../../../src/core/network.ts';

const FILE = new URL('../../../deploy/base/network-policies-sandboxes.yaml', import.meta.url);

test('the shipped NetworkPolicies of the sandbox namespace are those that the controller makes elsewhere', async () => {
  expect(loadAll(await readFile(FILE, 'utf8'))).toEqual(networkPolicies(SANDBOX_NAMESPACE));
});
