/** The page /docs: the OpenAPI document for reading, as one page of HTML without scripts, images or anything from elsewhere. */

/** The parts of the document that are shown. */
export interface ShownDocument {
  info: { title: string; description?: string };
  paths?: Record<string, Record<string, ShownOperation>>;
  components?: { schemas?: Record<string, unknown> };
}

export interface ShownOperation {
  operationId?: string;
  summary?: string;
  description?: string;
  parameters?: { name: string; in: string; required?: boolean; description?: string }[];
  requestBody?: { content?: Record<string, { schema?: Schema }> };
  responses?: Record<string, { description?: string; content?: Record<string, { schema?: Schema }> }>;
}

interface Schema {
  $ref?: string;
}

/** Nothing may be loaded, run or sent; the page's own style is all that there is. */
export const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code,pre{font:14px/1.4 ui-monospace,monospace}pre{overflow:auto;padding:1rem;border:1px solid #8884;border-radius:6px}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.25rem .5rem;border-top:1px solid #8884}
td:last-child{white-space:pre-line}h2{margin-top:3rem}:root{color-scheme:light dark}`;

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');

export function docsPage({ info, paths = {}, components }: ShownDocument): string {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ route: `${method.toUpperCase()} ${path}`, operation })),
  );
  const title = escaped(info.title);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>
<style>${STYLE}</style></head><body>
<h1>${title}</h1>
<p>${escaped(info.description ?? '').replaceAll('\n\n', '</p><p>')}</p>
<p>For machines: <a href="/openapi.json">/openapi.json</a></p>
<ul>${operations.map(({ route, operation }) => `<li><a href="#${escaped(operation.operationId ?? '')}"><code>${escaped(route)}</code></a> ${escaped(operation.summary ?? '')}</li>`).join('\n')}</ul>
${operations.map(({ route, operation }) => section(route, operation)).join('\n')}
<h2>Schemas</h2>
${Object.entries(components?.schemas ?? {})
  .map(schemaBlock)
  .join('\n')}
</body></html>
`;
}

function section(route: string, operation: ShownOperation): string {
  const { operationId = '', summary = '', description = '', parameters = [], requestBody, responses = {} } = operation;
  const taken = parameters.map(({ name, in: place, required, description: meaning = '' }) => [
    name,
    `${place}${required ? ', required' : ''}`,
    escaped(meaning),
  ]);
  const answers = Object.entries(responses).map(([status, response]) => [
    status,
    schemasOf(response.content),
    escaped(response.description ?? ''),
  ]);
  return `<h2 id="${escaped(operationId)}"><code>${escaped(route)}</code></h2>
<p><strong>${escaped(summary)}</strong> ${escaped(description)}</p>
${table(taken)}${requestBody?.content ? `<p>Body: ${schemasOf(requestBody.content)}</p>` : ''}${table(answers)}`;
}

/** Of each row, the first cell is text and the others are HTML. */
const table = (rows: string[][]): string =>
  rows.length === 0
    ? ''
    : `<table>${rows.map(([name = '', ...cells]) => `<tr><td><code>${escaped(name)}</code></td>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`).join('\n')}</table>`;

function schemasOf(content: Record<string, { schema?: Schema }> = {}): string {
  return Object.entries(content)
    .map(([type, { schema }]) => {
      const name = schema?.$ref?.split('/').at(-1);
      return name ? `<a href="#schema-${escaped(name)}">${escaped(name)}</a> (${escaped(type)})` : escaped(type);
    })
    .join(', ');
}

const schemaBlock = ([name, schema]: [string, unknown]): string =>
  `<details id="schema-${escaped(name)}"><summary><code>${escaped(name)}</code></summary><pre>${escaped(JSON.stringify(schema, undefined, 2))}</pre></details>`;
