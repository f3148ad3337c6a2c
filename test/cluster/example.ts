/** The hello example, run both ways: as a CodeRun by kubectl, and over HTTP. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { load } from 'js-yaml';
import type { Context } from './context.ts';
import { postJson } from './http.ts';
import type { Target } from './install.ts';
import type { Stage } from './stages.ts';

const HELLO = 'examples/hello.yaml';

interface Hello {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: { readonly code: string };
}

const readHello = async (context: Context) =>
  load(await readFile(join(context.paths.repository, HELLO), 'utf8')) as Hello;

/** Applies the example anew, also where an earlier quickstart has; adds to `shown` what the user would see of it. */
export function helloStage(context: Context, { kubectl, logsOf }: Target, shown: string[]): Stage {
  const log = join(context.paths.logs, 'hello.log');
  return {
    title: `Run ${HELLO} in a sandbox`,
    remedy: `The log ends with the CodeRun's status. What the controller says: \`${logsOf('controller')}\`.`,
    async run() {
      const { name, namespace } = (await readHello(context)).metadata;
      const run = ['coderun', name, '-n', namespace];
      await kubectl(['delete', ...run, '--ignore-not-found', '--wait'], { log });
      await untilPoolWaits(kubectl, namespace, log);
      await kubectl(['apply', '-f', join(context.paths.repository, HELLO)], { log });
      try {
        await kubectl(['wait', ...run, '--for=condition=Succeeded', '--timeout=110s'], { log });
      } catch (error) {
        await kubectl(['get', ...run, '-o', 'yaml'], { log }).catch(() => {});
        throw error;
      }
      for (const output of [
        ['-o', 'wide'],
        ['-o', 'jsonpath={.status.stdout}'],
      ]) {
        const spelled = output.map((word) => word.replace(/^jsonpath=(.*)$/, "jsonpath='$1'"));
        shown.push(`$ kubectl ${['get', ...run, ...spelled].join(' ')}`);
        shown.push((await kubectl(['get', ...run, ...output])).trimEnd(), '');
      }
    },
  };
}

/** So that the example shows a warm run; an installation may have no pool, and then it is a cold one. */
async function untilPoolWaits(kubectl: Target['kubectl'], namespace: string, log: string): Promise<void> {
  const pools = ['sandboxpool', '--all', '-n', namespace];
  await kubectl(['wait', ...pools, '--for=condition=Ready', '--timeout=60s'], { log }).catch(() => {});
}

/** Sends the example's code to the gateway. `reach` calls its argument with a URL under which the gateway answers. */
export function gatewayStage(
  context: Context,
  { logsOf }: Target,
  reach: (use: (url: string) => Promise<void>) => Promise<void>,
  shown: string[],
): Stage {
  return {
    title: 'Run the same code over HTTP',
    remedy: `What the gateway says: \`${logsOf('gateway')}\`.`,
    run: () =>
      reach(async (url) => {
        const { code } = (await readHello(context)).spec;
        const { status, text } = await postJson(`${url}/execute`, { code }, 90_000, context.signal);
        if (status !== 200) throw new Error(`the gateway answered ${status}: ${text.slice(0, 500)}`);
        shown.push(`$ curl -s $CODERUN_URL/execute -H 'content-type: application/json' -d '{"code": "(the same)"}'`);
        shown.push(text.trimEnd());
      }),
  };
}
