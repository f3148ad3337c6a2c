import { describe, expect, test } from 'vitest';
import { pythonOf } from '../../../../src/gateway/llm/fences.ts';

const F = '```';

describe('the program in an answer of a language model', () => {
  test.each([
    ['a block of Python', `Sure!\n${F}python\nprint(1)\n${F}\nThat prints 1.`, 'print(1)\n'],
    ['under another name, in capitals', `${F}Py3\nprint(1)\n${F}`, 'print(1)\n'],
    ['with attributes', `${F}{.python .numberLines}\nprint(1)\n${F}`, 'print(1)\n'],
    ['a block that is marked as nothing', `${F}\nprint(1)\n${F}`, 'print(1)\n'],
    ['Python before what it prints', `${F}python\nprint(1)\n${F}\nOutput:\n${F}\n1\n${F}`, 'print(1)\n'],
    [
      'two blocks of Python, one after the other',
      `${F}python\na = 1\n${F}\nand\n${F}python\nprint(a)\n${F}`,
      'a = 1\n\nprint(a)\n',
    ],
    ['no more than the first of two that are marked as nothing', `${F}\na\n${F}\n${F}\nb\n${F}`, 'a\n'],
    ['Python beside a shell', `${F}bash\npip install x\n${F}\n${F}python\nimport x\n${F}`, 'import x\n'],
    ['fences of tildes', '~~~python\nprint("```")\n~~~', 'print("```")\n'],
    ['a longer fence around a shorter one', `${F}\`python\ns = """\n${F}\n"""\n${F}\``, `s = """\n${F}\n"""\n`],
    ['a block without an end', `${F}python\nprint(1)`, 'print(1)\n'],
    ['a block in a list', `1. Do:\n   ${F}python\n   if x:\n     y()\n   ${F}`, 'if x:\n  y()\n'],
    ['lines that end as on Windows', `${F}python\r\nprint(1)\r\n${F}`, 'print(1)\n'],
    ['a program without fences', 'import os\nprint(os.name)', 'import os\nprint(os.name)\n'],
    ['an assignment without fences', 'x = 1\nprint(x)', 'x = 1\nprint(x)\n'],
    ['a program after a comment, without fences', '# Says so.\nprint(1)', '# Says so.\nprint(1)\n'],
    ['nothing in a heading and words', '# Answer\nIt is 7.', undefined],
    ['nothing in words alone', 'I can not do that.', undefined],
    ['nothing in words that name a module', 'import duties are complicated', undefined],
    ['nothing in another language', `${F}bash\nls\n${F}`, undefined],
    ['nothing in an empty block', `${F}python\n\n${F}`, undefined],
    ['nothing in nothing', '', undefined],
  ])('%s', (_name, answer, expected) => {
    expect(pythonOf(answer)).toBe(expected);
  });

  test('a megabyte of fences and blanks is read in no time', () => {
    const started = performance.now();
    for (const part of ['`', `${F}\n`, ' ', `${F} `, 'x = ', '[']) pythonOf(part.repeat(1_000_000 / part.length));
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
