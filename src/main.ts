/** The program: `controller`, `gateway` or `crds`. The only place that ends the process. */

import { crds } from './api/crds.ts';
import { toYaml } from './api/yaml.ts';
import { loadConfig } from './config.ts';
import { controllerRole } from './roles/controller.ts';
import { gatewayRole } from './roles/gateway.ts';

const USAGE = `usage: main.js controller | gateway | crds

  controller   watches CodeRuns and runs them; one of several leads
  gateway      serves the HTTP API
  crds         prints the CustomResourceDefinitions as YAML

Settings come from the environment; docs/configuration.md lists them.
`;

const ROLES: Record<string, (signal: AbortSignal) => Promise<void>> = {
  controller: (signal) => controllerRole(loadConfig(), signal),
  gateway: (signal) => gatewayRole(loadConfig(), signal),
  crds: async () => {
    for (const crd of Object.values(crds())) process.stdout.write(`---\n${toYaml(crd)}`);
  },
};

async function main(name: string | undefined): Promise<number> {
  const role = ROLES[name ?? ''];
  if (!role) {
    process.stderr.write(USAGE);
    return name === '--help' || name === '-h' ? 0 : 2;
  }
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort(new Error(signal)));
  try {
    await role(stop.signal);
    return 0;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return 1;
  }
}

process.exit(await main(process.argv[2]));
