/** Takes the program out of what a language model answered: Markdown, more or less. */

interface Block {
  language: string;
  lines: string[];
}

const PYTHON = ['python', 'py', 'python3', 'py3', 'ipython'];

/**
 * The Python of `answer`: all blocks that are marked as Python, one after the other; else the first block that is marked
 * as nothing; else the whole answer where it begins as a program does. Undefined where there is none.
 */
export function pythonOf(answer: string): string | undefined {
  const blocks = blocksOf(answer);
  const marked = blocks.filter(({ language }) => PYTHON.includes(language));
  const chosen = marked.length > 0 ? marked : blocks.filter(({ language }) => language === '').slice(0, 1);
  const code = blocks.length > 0 ? chosen.map(({ lines }) => lines.join('\n')).join('\n\n') : bare(answer);
  return code.trim() === '' ? undefined : `${code.trimEnd()}\n`;
}

/** The end of a block is a fence of the same kind, at least as long; one that is missing is the end of the answer. */
function blocksOf(answer: string): Block[] {
  const blocks: Block[] = [];
  let open: { fence: string; indent: number; block: Block } | undefined;
  for (const line of answer.split(/\r?\n/)) {
    if (open) {
      if (isEnd(line, open.fence)) open = undefined;
      else open.block.lines.push(withoutIndent(line, open.indent));
      continue;
    }
    const [, indent = '', fence, info = ''] = /^([ \t]*)(`{3,}|~{3,})([^`]*)$/.exec(line) ?? [];
    if (fence === undefined) continue;
    const block = { language: /^\s*\{?\.?([\w+-]*)/.exec(info)?.[1]?.toLowerCase() ?? '', lines: [] };
    blocks.push(block);
    open = { fence, indent: indent.length, block };
  }
  return blocks;
}

function isEnd(line: string, fence: string): boolean {
  const text = line.trim();
  return text.startsWith(fence) && text === fence.charAt(0).repeat(text.length);
}

/** A block in a list is indented as a whole. */
const withoutIndent = (line: string, indent: number): string => {
  const blank = line.length - line.trimStart().length;
  return line.slice(Math.min(blank, indent));
};

/** How a program begins whose author forgot the fences; comments before it could as well be headings. */
const BEGINNING =
  /^(import [\w.]+( as \w+)?(, *[\w.]+( as \w+)?)*$|from [\w.]+ import |print\(|def \w+\(|class \w+[:(]|@\w|"""|\w+(\[[^\]]*\])? = |(for|while|if|with) .*:$|try:$)/;

function bare(answer: string): string {
  const lines = answer.trim().split(/\r?\n/);
  const first = lines.find((line) => line.trim() !== '' && !line.startsWith('#')) ?? '';
  return BEGINNING.test(first.trimEnd()) ? lines.join('\n') : '';
}
