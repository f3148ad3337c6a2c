/** Says what is up: the engine, the nodes, controller and gateway, and where the gateway answers. */

import { type Context, gatewayUrl } from './context.ts';
import { findEngine } from './engine.ts';
import { answersHttp } from './http.ts';
import { DEPLOYMENTS, SYSTEM_NAMESPACE } from './install.ts';
import { apiServerAnswers, nodesOf } from './kind.ts';
import { type Kubectl, kubectlOf } from './kubectl.ts';

export interface StatusLine {
  readonly part: string;
  readonly ok: boolean;
  readonly text: string;
}

/** The parts in the order in which they depend on each other; none after the first that is missing. */
export async function statusOf(context: Context): Promise<StatusLine[]> {
  const engine = await findEngine(context);
  if (engine === undefined) return [line('engine', false, 'none answers. Start everything: npm run cluster -- up')];
  const lines = [
    line('engine', true, engine.kind === 'private' ? 'private, which no packet leaves' : "this machine's Docker"),
  ];

  const nodes = await nodesOf(context, engine);
  if (nodes.length === 0) return [...lines, line('nodes', false, 'none. Start them: npm run cluster -- up')];
  const kubectl = kubectlOf(context);
  if (!(await apiServerAnswers(kubectl, 2))) {
    return [
      ...lines,
      line('nodes', false, `${nodes.join(' ')}, but the API server doesn't answer. Anew: npm run cluster -- up`),
    ];
  }
  lines.push(await nodeLine(kubectl));
  for (const name of DEPLOYMENTS) lines.push(await deploymentLine(kubectl, name));
  const reached = await answersHttp(gatewayUrl(context));
  const installed = lines.some(({ part, text }) => part === 'gateway' && text !== NOT_INSTALLED);
  if (installed)
    lines.push(
      line(
        'URL',
        reached,
        `${gatewayUrl(context)}${reached ? '' : ' does not answer: npm run cluster -- logs gateway'}`,
      ),
    );
  return lines;
}

const NOT_INSTALLED = 'not installed. Install it: npm run quickstart';
const line = (part: string, ok: boolean, text: string): StatusLine => ({ part, ok, text });

async function nodeLine(kubectl: Kubectl): Promise<StatusLine> {
  const template = '{range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status} {end}';
  const nodes = (await kubectl(['get', 'nodes', '-o', `jsonpath=${template}`])).trim().split(' ');
  const ready = nodes.filter((node) => node.endsWith('=True')).length;
  return line('nodes', ready === nodes.length, `${ready} of ${nodes.length} ready`);
}

async function deploymentLine(kubectl: Kubectl, name: string): Promise<StatusLine> {
  const template = '{.status.readyReplicas}/{.spec.replicas}';
  const args = [
    '--namespace',
    SYSTEM_NAMESPACE,
    'get',
    'deployment',
    name,
    '--ignore-not-found',
    '-o',
    `jsonpath=${template}`,
  ];
  const answer = (await kubectl(args)).trim();
  // Not installed is no fault: the cluster alone may be wanted.
  if (answer === '') return line(name, true, NOT_INSTALLED);
  const [ready = '', wanted = ''] = answer.split('/');
  const ok = ready !== '' && ready === wanted;
  return line(name, ok, `${ready || '0'} of ${wanted} ready${ok ? '' : `. Why: npm run cluster -- logs ${name}`}`);
}
