/** What a program printed, made harmless for a terminal: nothing in it can move the cursor, hide text or answer questions. */

/** Colours and the like, which only spoil the reading once they are escaped. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
const STYLE = /\x1b\[[0-9;:]*m/g;

/** Control characters but newline and tab, and characters that turn the direction of text around them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
const UNSAFE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

export const printable = (text: string): string =>
  text.replaceAll(STYLE, '').replaceAll('\r\n', '\n').replaceAll(UNSAFE, escaped);

/** The same on one line, of `limit` characters at most. */
export function printableLine(text: string, limit = 200): string {
  const line = printable(text).replaceAll('\n', '\\n').replaceAll('\t', ' ');
  return line.length <= limit ? line : `${line.slice(0, limit - 1)}…`;
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (character === '\r') return '\\r';
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
}

/** JSON that is the same JSON, and harmless: what is unsafe stands in texts, where an escape says it as well. */
export const printableJson = (json: string): string =>
  json.replaceAll(UNSAFE, (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`);
