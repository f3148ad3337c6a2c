/** JSON as this API takes it: I-JSON (RFC 7493), in which nothing can be read two ways, and no larger in structure than a request needs. */

const MAX_DEPTH = 32;
const MAX_VALUES = 10_000;

/** What is wrong with a text; `field` is the path of the key where it is a key that is wrong. */
export class JsonError extends Error {
  override readonly name = 'JsonError';
  readonly field: string | undefined;

  constructor(message: string, field?: string) {
    super(message);
    this.field = field;
  }
}

/** The value of `bytes`; throws `JsonError`. */
export function parseJson(bytes: Uint8Array): unknown {
  const text = decode(bytes);
  checkStructure(text);
  const value = parse(text);
  // Only an escape can make half of a surrogate pair: the bytes were UTF-8.
  if (/\\u[dD][89a-fA-F]/.test(text)) checkWellFormed(value, []);
  return value;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new JsonError('it is not UTF-8');
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // The rest of the message quotes the text.
    const position = / at position \d+ \((line \d+ column \d+)\)/.exec(String(error))?.[1];
    throw new JsonError(position ? `it is not JSON at ${position}` : 'it is not JSON');
  }
}

interface Frame {
  /** Keys seen so far; undefined in an array. */
  readonly keys: Set<string> | undefined;
  at: string | number;
}

/** Looks at brackets, commas and keys only, before anything is built; whether the rest is JSON is for the parser to say. */
function checkStructure(text: string): void {
  const frames: Frame[] = [];
  const token = /["[\]{},]/g;
  let commas = 0;
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const [character] = match;
    if (character === '"') token.lastIndex = checkString(frames, text, match.index);
    else if (character === ',') checkComma(frames, ++commas);
    else if (character === '}' || character === ']') frames.pop();
    else open(frames, character === '{');
  }
}

function open(frames: Frame[], object: boolean): void {
  if (frames.length === MAX_DEPTH) throw new JsonError(`it is nested deeper than ${MAX_DEPTH} levels`);
  frames.push(object ? { keys: new Set(), at: '' } : { keys: undefined, at: 0 });
}

function checkComma(frames: Frame[], commas: number): void {
  if (commas > MAX_VALUES) throw new JsonError(`it holds more than ${MAX_VALUES} values`);
  const frame = frames.at(-1);
  if (typeof frame?.at === 'number') frame.at++;
}

/** Returns the index after the string that begins at `from`. */
function checkString(frames: Frame[], text: string, from: number): number {
  const end = endOfString(text, from);
  const frame = frames.at(-1);
  if (!frame?.keys || !isFollowedByColon(text, end)) return end;
  const key = String(parse(text.slice(from, end)));
  frame.at = key;
  const path = frames.map(({ at }) => at).join('.');
  if (frame.keys.has(key)) throw new JsonError('a key stands twice in one object', path);
  if (key === '__proto__') throw new JsonError('the key __proto__ is not allowed', path);
  frame.keys.add(key);
  return end;
}

/** The index after the quote that ends the string beginning at `from`. */
function endOfString(text: string, from: number): number {
  for (let end = text.indexOf('"', from + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === '\\') backslashes++;
    if (backslashes % 2 === 0) return end + 1;
  }
  return text.length;
}

function isFollowedByColon(text: string, from: number): boolean {
  const colon = /[ \t\r\n]*:/y;
  colon.lastIndex = from;
  return colon.test(text);
}

function checkWellFormed(value: unknown, path: readonly (string | number)[]): void {
  if (typeof value === 'string' && !value.isWellFormed())
    throw new JsonError('a string holds half of a surrogate pair, which is no character', path.join('.'));
  if (typeof value !== 'object' || value === null) return;
  for (const [key, child] of Object.entries(value)) {
    checkWellFormed(key, path);
    checkWellFormed(child, [...path, key]);
  }
}
