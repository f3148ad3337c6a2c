/** From nothing to code that has run in a sandbox: the cluster, the operator, the hello example by kubectl, the same code over HTTP. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { type Context, gatewayUrl } from './context.ts';
import { imageId } from './docker.ts';
import { ClusterError } from './errors.ts';
import { postJson } from './http.ts';
import { OPERATOR_IMAGE, operatorImageStage, SANDBOX_IMAGE, type Situation, sandboxImageStage } from './images.ts';
import { installStages } from './install.ts';
import { CLUSTER_NAME } from './kind.ts';
import { type Kubectl, kubectlOf } from './kubectl.ts';
import { loadStage } from './load.ts';
import type { Stage } from './stages.ts';
import { type UpOptions, up } from './up.ts';

const HELLO = 'examples/hello.yaml';

/** The cluster with operator and gateway in it, ready. */
export function installAll(
  context: Context,
  nodes?: number,
  after: (kubectl: Kubectl) => Stage[] = () => [],
): Promise<Situation> {
  const kubectl = kubectlOf(context);
  const options: UpOptions = {
    nodes,
    images: true,
    after: (situation) => [
      sandboxImageStage(context, situation),
      operatorImageStage(context, situation),
      loadStage(context, () => situation().engine, CLUSTER_NAME, [SANDBOX_IMAGE, OPERATOR_IMAGE]),
      ...installStages(context, kubectl, () => ourImages(context, situation()), 'npm run cluster -- logs'),
      ...after(kubectl),
    ],
  };
  return up(context, options);
}

export const ourImages = async (context: Context, { engine }: Situation) => ({
  operator: OPERATOR_IMAGE,
  sandbox: SANDBOX_IMAGE,
  revision: (await imageId(context, engine, OPERATOR_IMAGE)) ?? '',
});

export async function quickstart(context: Context): Promise<string> {
  const shown: string[] = [];
  await installAll(context, undefined, (kubectl) => [
    helloStage(context, kubectl, shown),
    gatewayStage(context, async (use) => use(gatewayUrl(context)), shown),
  ]);
  return [...shown, '', ...WHAT_NEXT].join('\n');
}

interface Hello {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: { readonly code: string };
}

const readHello = async (context: Context) =>
  load(await readFile(join(context.paths.repository, HELLO), 'utf8')) as Hello;

/** Runs the example anew, also where an earlier quickstart has run it. */
export function helloStage(context: Context, kubectl: Kubectl, shown: string[]): Stage {
  const log = join(context.paths.logs, 'hello.log');
  return {
    title: `Run ${HELLO} in a sandbox`,
    remedy: `The log ends with the CodeRun's status; the controller's own words: \`npm run cluster -- logs controller\`.`,
    async run() {
      const { name, namespace } = (await readHello(context)).metadata;
      const run = ['--namespace', namespace, 'coderun', name];
      await kubectl(['delete', '--ignore-not-found', '--wait', ...run], { log });
      await kubectl(['apply', '-f', join(context.paths.repository, HELLO)], { log });
      try {
        await kubectl(
          ['wait', '--for=condition=Succeeded', '--timeout=110s', '--namespace', namespace, `coderun/${name}`],
          { log },
        );
      } catch (error) {
        await kubectl(['get', '-o', 'yaml', ...run], { log }).catch(() => {});
        throw error;
      }
      shown.push(`$ kubectl get coderun ${name} -n ${namespace}`, (await kubectl(['get', ...run])).trimEnd(), '');
      const stdout = ['get', '-o', 'jsonpath={.status.stdout}', ...run];
      shown.push(
        `$ kubectl get coderun ${name} -n ${namespace} -o jsonpath='{.status.stdout}'`,
        (await kubectl(stdout)).trimEnd(),
        '',
      );
    },
  };
}

/** `reach` gives a URL under which the gateway answers while its argument runs. */
export function gatewayStage(
  context: Context,
  reach: (use: (url: string) => Promise<void>) => Promise<void>,
  shown: string[],
): Stage {
  return {
    title: 'Run the same code over HTTP',
    remedy: '`npm run cluster -- logs gateway` shows what the gateway says, `npm run cluster -- status` what is up.',
    run: () =>
      reach(async (url) => {
        const { code } = (await readHello(context)).spec;
        const { status, text } = await postJson(`${url}/execute`, { code }, 90_000, context.signal);
        if (status !== 200)
          throw new ClusterError(
            `The gateway answered ${status}: ${text.slice(0, 500)}`,
            'See `npm run cluster -- logs gateway`.',
          );
        shown.push(
          `$ curl -s $CODERUN_URL/execute -H 'content-type: application/json' -d '{"code": …the same…}'`,
          text.trimEnd(),
        );
      }),
  };
}

const WHAT_NEXT = [
  'It works. What to try next:',
  '  eval "$(npm run -s cluster -- env)"       # kubectl for this cluster, and $CODERUN_URL',
  '  kubectl apply -f examples/plot.yaml       # a plot comes back as a PNG',
  '  curl -s $CODERUN_URL/execute -H \'content-type: application/json\' -d \'{"code": "print(6*7)"}\'',
  '  npm run cluster -- status                 # what is up; `down` takes all of it away',
];
