/** The program: `controller`, `gateway` or `crds`. The only place that ends the process. */

const USAGE = `usage: main.js controller | gateway | crds

  controller   watches CodeRuns and runs them; one of several leads
  gateway      serves the HTTP API
  crds         prints the CustomResourceDefinitions as YAML

Settings come from the environment; docs/configuration.md lists them.
`;

/** Loaded when they are needed: until the signals have their handlers, the first process of a container can't be stopped. */
const ROLES: Record<string, (signal: AbortSignal) => Promise<void>> = {
  async controller(signal) {
    const [{ loadConfig }, { controllerRole }] = await Promise.all([
      import('./config.ts'),
      import('./roles/controller.ts'),
    ]);
    await controllerRole(loadConfig(), signal);
  },
  async gateway(signal) {
    const [{ loadConfig }, { gatewayRole }] = await Promise.all([import('./config.ts'), import('./roles/gateway.ts')]);
    await gatewayRole(loadConfig(), signal);
  },
  async crds() {
    const [{ crds }, { toYaml }] = await Promise.all([import('./api/crds.ts'), import('./api/yaml.ts')]);
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
