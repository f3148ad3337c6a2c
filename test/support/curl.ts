/** Reads a curl command as a shell would, so that what the documentation prints is what a test sends. */

import type { InjectOptions } from 'fastify';

const URL_VARIABLE = '$CODERUN_URL';

/** The request of `command`, which may send the content of one of `files`. Throws an Error for options that the documentation has no use for. */
export function requestOf(command: string, files: Record<string, string> = {}): InjectOptions & { url: string } {
  const [program, ...words] = shellWords(command);
  if (program !== 'curl') throw new Error(`not a curl command: ${command}`);
  const headers: Record<string, string> = {};
  const request: { method?: string; url?: string; payload?: string } = {};
  const take: Record<string, (value: string) => void> = {
    '-X': (value) => Object.assign(request, { method: value }),
    '-T': (value) => Object.assign(request, { method: 'PUT', payload: files[value] }),
    '-d': (value) => Object.assign(request, { payload: value }),
    '-H': (value) => {
      const [name = '', ...rest] = value.split(': ');
      headers[name.toLowerCase()] = rest.join(': ');
    },
    '-o': () => undefined,
  };
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    if (/^-[sN]+$/.test(word)) continue;
    if (take[word]) take[word](words[++index] ?? '');
    else if (word.startsWith(URL_VARIABLE)) request.url = word.slice(URL_VARIABLE.length);
    else throw new Error(`${word} in ${command}`);
  }
  const { url, payload, method = payload === undefined ? 'GET' : 'POST' } = request;
  if (url === undefined) throw new Error(`no URL in ${command}`);
  return { url, method: method as 'GET', headers, ...(payload !== undefined && { payload }) };
}

/** Words between blanks; quotes of either kind hold blanks, and a backslash at the end of a line joins it with the next. */
const shellWords = (command: string): string[] =>
  [...command.replaceAll('\\\n', ' ').matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, bare]) => single ?? double ?? bare ?? '',
  );
