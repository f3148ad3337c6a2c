/** What has been typed, seen as Python: whether it is whole, and what is being completed. */

/** Texts in triple quotes, which may be open at the end; texts in single ones, which end with their line; comments. */
const OPAQUE = /("""|''')(?:\\[\s\S]|(?!\1)[\s\S])*(\1)?|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?|#.*/g;

/**
 * True where more lines belong to `source`: a bracket or a triple-quoted text is open, the line goes on with a
 * backslash, or a block has been begun and no empty line has ended it.
 */
export function needsMore(source: string): boolean {
  let open = false;
  const code = source.replaceAll(OPAQUE, (_text, triple?: string, end?: string) => {
    open ||= triple !== undefined && end === undefined;
    return '';
  });
  const depth = (code.match(/[([{]/g)?.length ?? 0) - (code.match(/[)\]}]/g)?.length ?? 0);
  if (open || depth > 0 || code.endsWith('\\')) return true;
  const lines = code.split('\n');
  return lines.at(-1)?.trim() !== '' && lines.some(opensBlock);
}

const opensBlock = (line: string): boolean => /:\s*$/.test(line) || /^\s*@\w/.test(line);

/** The name at the end of `line` that is being typed, and those of `names` that begin with it. */
export function complete(line: string, names: readonly string[]): [string[], string] {
  const typed = /(?:^|[^\w.%])(%?\w*)$/.exec(line)?.[1] ?? '';
  if (typed === '') return [[], ''];
  return [names.filter((name) => name.startsWith(typed)).sort(), typed];
}
