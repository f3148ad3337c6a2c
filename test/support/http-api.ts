/** docs/http-api.md, made from the OpenAPI document and from the answers of a gateway to the examples. */

import type { ShownDocument, ShownOperation } from '../../src/gateway/docs-page.ts';
import { errorTable } from '../../src/gateway/problem-meanings.ts';
import { requestOf } from './curl.ts';
import { aWorld } from './gateway-world.ts';
import { EXAMPLES, type Example, PRETENDED_MODEL, pretendController } from './http-examples.ts';
import { pretendSessions, UPLOADS } from './http-session-examples.ts';

interface Answered extends Example {
  type: string;
  body: string;
}

/** Sends every example; throws an Error where one is not answered as it says, or with a status that is not documented. */
export async function httpApiPage(): Promise<string> {
  const world = aWorld({ languageModel: PRETENDED_MODEL });
  pretendController(world.kube);
  await pretendSessions(world.kube);
  const document: ShownDocument = (await world.get('/openapi.json')).json();
  const operations = operationsOf(document);
  const answers: Answered[] = [];
  for (const example of EXAMPLES) {
    const { statusCode, headers, body } = await world.send(requestOf(example.curl, UPLOADS));
    const documented = operations.find(({ operation }) => operation.operationId === example.operation)?.operation
      .responses;
    if (statusCode !== example.status || !(String(statusCode) in (documented ?? {})))
      throw new Error(`${example.curl} is answered ${statusCode}: ${body}`);
    answers.push({ ...example, type: String(headers['content-type'] ?? ''), body });
  }
  return pageOf(operations, answers);
}

interface Listed {
  route: string;
  operation: ShownOperation;
}

const operationsOf = ({ paths = {} }: ShownDocument): Listed[] =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ route: `${method.toUpperCase()} ${path}`, operation })),
  );

const pageOf = (operations: Listed[], answers: Answered[]): string => `# The HTTP API

A gateway shows the same at \`/docs\`, and to machines at \`/openapi.json\` (OpenAPI 3.1). Bodies are JSON in UTF-8, names are
camelCase, and unknown fields are refused. \`CODERUN_URL\` is where your gateway is.

## Who may

\`Authorization: Bearer\` with an API key (\`crk_…\`) or a token of Kubernetes. A key has one namespace. For a token, the
cluster's own RBAC decides: creating a run takes the right to \`create\` \`coderuns.coderun.dev\`, looking at it \`get\` or
\`list\`, cancelling it \`patch\`; batches and sessions have their own resources (\`codebatches\`, \`replsessions\`). Whatever acts in
a session, on its files or packages takes \`patch\`, looking at its files or variables \`get\`, and \`/repl\` \`create\`. A service
account works in its own namespace, and whoever names another in the header \`x-coderun-namespace\` in that one. What is in another namespace does
not exist: 404. Without credentials there is nothing, unless the gateway is set up for anonymous callers
(\`CODERUN_ANONYMOUS_NAMESPACE\`), as a quickstart's is.

Keys are in the Secret \`coderun-api-keys\` of \`coderun-system\`, as salted hashes; a change counts within five seconds. What
RBAC or the API server withdraws counts within ten.

## How much

Every answer says in \`RateLimit-Limit\`, \`RateLimit-Remaining\` and \`RateLimit-Reset\` how often you may ask within a
minute. What is refused with 429 was not begun. \`Retry-After\` stands where the very same request may be sent again, and says
when.

## Once

A POST that creates something takes \`Idempotency-Key\`: sent again with the same key and body it gives what the first one
created, from whichever replica, for as long as that is kept; with another body, 422. With a key, \`POST /execute\` does not cancel its run
when the client leaves: it may come back.

## Errors

Problems as RFC 9457 has them. Match on \`code\`; \`field\` and \`errors\` name what is wrong; \`retrySafe\` says whether the very same
request may be sent again without a double effect; \`requestId\` is in the gateway's log. A program that failed is no error
of the request: its \`reason\` says how it ended.

| status | code | when |
|---|---|---|
${errorTable()
  .map(({ status, code, meaning }) => `| ${status} | \`${code}\` | ${meaning} |\n`)
  .join('')}
${operations.map(({ route, operation }) => section(route, operation, answers)).join('\n')}`;

function section(route: string, operation: ShownOperation, answers: Answered[]): string {
  const { operationId, summary = '', description = '', parameters = [], responses = {} } = operation;
  const own = parameters.filter(({ name }) => name !== 'x-coderun-namespace');
  const rows = own.map(({ name, in: place, description: meaning = '' }) => `| \`${name}\` | ${place} | ${meaning} |\n`);
  const table = rows.length > 0 ? `\n| parameter | in | meaning |\n|---|---|---|\n${rows.join('')}` : '';
  const examples = answers.filter((answer) => answer.operation === operationId).map(exampleText);
  return `## ${route}

${summary}. ${description}
${table}
Statuses: ${Object.keys(responses).join(', ')}.
${examples.join('')}`;
}

function exampleText({ says, curl, status, type, body }: Answered): string {
  const isJson = /^application\/(problem\+)?json/.test(type);
  const shown = isJson ? JSON.stringify(JSON.parse(body), undefined, 2) : body.trimEnd();
  const answer = body === '' ? `Answered ${status}.` : `\`\`\`${isJson ? 'json' : 'text'}\n${shown}\n\`\`\``;
  return `
${says ? `${says}\n\n` : ''}\`\`\`sh
${curl}
\`\`\`

${answer}
`;
}
