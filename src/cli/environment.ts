/** The environment of the command line: the variables that it reads, and nothing else of it. */

import { homedir } from 'node:os';
import { join } from 'node:path';

export interface Environment {
  /** CODERUN_URL, CODERUN_API_KEY and the like; empty ones count as unset. */
  readonly settings: Readonly<Record<string, string>>;
  readonly configFile: string;
  /** Where histories and images are kept. */
  readonly stateFolder: string;
  /** Any variable of the caller's, for `--env NAME`. */
  variable(name: string): string | undefined;
}

export const SETTINGS = {
  CODERUN_URL: 'URL of the gateway (http://127.0.0.1:8080)',
  CODERUN_API_KEY: 'API key, or token of Kubernetes, that the gateway is shown',
  CODERUN_KUBE: '1 goes straight to Kubernetes, as --kube does',
  CODERUN_CONTEXT: 'context of the kubeconfig, as --context',
  CODERUN_NAMESPACE: 'namespace, as --namespace',
  KUBECONFIG: 'the kubeconfig, as for kubectl',
} as const;

export function readEnvironment(variables: NodeJS.ProcessEnv = process.env): Environment {
  const set = (name: string): string | undefined => variables[name] || undefined;
  const home = set('HOME') ?? homedir();
  const settings = Object.keys(SETTINGS).flatMap((name) => {
    const value = set(name);
    return value === undefined ? [] : [[name, value]];
  });
  return {
    settings: Object.fromEntries(settings),
    configFile: join(set('XDG_CONFIG_HOME') ?? join(home, '.config'), 'coderun', 'config.json'),
    stateFolder: join(set('XDG_STATE_HOME') ?? join(home, '.local', 'state'), 'coderun'),
    variable: (name) => variables[name],
  };
}
