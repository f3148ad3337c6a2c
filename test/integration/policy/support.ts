/** Requests to a real API server on which the manifests are installed, as the administrator or as somebody else. */

import { execFile } from 'node:child_process';
import { type RequestOptions, request } from 'node:https';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type ApiServer, serviceAccountUser } from '../../support/apiserver.ts';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const KUBECTL = join(process.env['CODERUN_BIN_DIR'] ?? join(homedir(), '.cache', 'coderun-cluster', 'bin'), 'kubectl');

export interface Answer {
  code: number;
  /** What a refused caller reads; empty otherwise. */
  message: string;
  // biome-ignore lint/suspicious/noExplicitAny: objects of many kinds, looked into by tests only
  body: any;
}

export interface Account {
  namespace: string;
  name: string;
}

export interface Request {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  body?: object;
  /** How `body` is merged by PATCH; only Kubernetes' own kinds know the strategic way. */
  merge?: 'strategic-merge-patch' | 'merge-patch';
  /** What to answer with, if not the object. */
  accept?: string;
  /** Impersonates this service account. */
  as?: Account;
}

export type Api = (request: Request) => Promise<Answer>;

/** Installs deploy/base and the package index, and answers how to ask the API server. */
export async function install({ url, kubeconfig, credentials }: ApiServer): Promise<Api> {
  const options = { timeout: 60_000 };
  for (const folder of ['base', 'package-index'])
    await run(KUBECTL, ['--kubeconfig', kubeconfig, 'apply', '-k', `${ROOT}deploy/${folder}`], options);
  const { tls } = await credentials.authentication();
  return ({ method = 'GET', path, body, merge = 'strategic-merge-patch', accept, as }) => {
    const headers = {
      'content-type': method === 'PATCH' ? `application/${merge}+json` : 'application/json',
      ...(accept && { accept }),
      ...(as && { 'impersonate-user': serviceAccountUser(as.namespace, as.name) }),
    };
    return send(`${url}${path}`, { ...tls, method, headers, timeout: 10_000 }, body);
  };
}

const send = (url: string, options: RequestOptions, body: object | undefined): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const sent = request(url, options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const answer = text.startsWith('{') ? JSON.parse(text) : text;
        const code = response.statusCode ?? 0;
        resolve({ code, message: code < 400 ? '' : (answer.message ?? text), body: answer });
      });
    });
    sent.on('error', reject);
    sent.end(body && JSON.stringify(body));
  });

/** Asks until `holds`, since the API server learns of a policy a second after it has taken it. Answers the last answer. */
export async function until(ask: () => Promise<Answer>, holds: (answer: Answer) => boolean): Promise<Answer> {
  let answer = await ask();
  for (let tries = 0; tries < 100 && !holds(answer); tries += 1) {
    await sleep(100);
    answer = await ask();
  }
  return answer;
}

/** Makes a namespace, or completes it: no controller runs here that would give it the account that pods need. */
export async function createNamespace(api: Api, name: string, labels: Record<string, string> = {}): Promise<void> {
  await api({ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name, labels } } });
  await api({
    method: 'POST',
    path: `/api/v1/namespaces/${name}/serviceaccounts`,
    body: { metadata: { name: 'default' } },
  });
}
