//! The filter bar's language: `status = open and total > 100`.
//!
//! A condition is a field, an operator and a value; `and` joins several. What it means is decided by the server.

import type { Condition, Filter, Operator } from '@tidewire/client/live-data';

/** A text that was read: no filter where it is empty, or a sentence that says what is wrong. */
export type FilterRead = { readonly filter: Filter | undefined; readonly fields: readonly string[] } | { readonly trouble: string };

/** The operators as people write them, longest first so that `>=` is not read as `>`. */
const OPERATORS: readonly (readonly [string, Operator])[] = [
  ['starts with', 'StartsWith'],
  ['ends with', 'EndsWith'],
  ['contains', 'Contains'],
  ['not in', 'NotIn'],
  ['exists', 'Exists'],
  ['in', 'In'],
  ['>=', 'Gte'],
  ['<=', 'Lte'],
  ['!=', 'Ne'],
  ['<>', 'Ne'],
  ['==', 'Eq'],
  ['=', 'Eq'],
  ['>', 'Gt'],
  ['<', 'Lt'],
  ['~', 'Contains'],
];

/** The operators for a hint. */
export const OPERATOR_HINT = '=  !=  >  >=  <  <=  contains  starts with  ends with  in (…)  exists';

class Trouble extends Error {}

/** Reads a filter. */
export function readFilter(text: string): FilterRead {
  const scanner = new Scanner(text);
  if (scanner.atEnd()) return { filter: undefined, fields: [] };
  try {
    const conditions = readConditions(scanner);
    const fields = [...new Set(conditions.map((condition) => condition.content.field))];
    return { filter: together(conditions), fields };
  } catch (thrown) {
    if (thrown instanceof Trouble) return { trouble: thrown.message };
    throw thrown;
  }
}

function together(conditions: readonly Condition[]): Filter | undefined {
  if (conditions.length < 2) return conditions[0];
  return { type: 'Logical', content: { operator: 'And', expressions: conditions } };
}

function readConditions(scanner: Scanner): Condition[] {
  const conditions = [readCondition(scanner)];
  while (!scanner.atEnd()) {
    if (!scanner.word('and')) throw new Trouble(`Write “and” before “${scanner.rest()}”`);
    conditions.push(readCondition(scanner));
  }
  return conditions;
}

function readCondition(scanner: Scanner): Condition {
  const field = scanner.quoted() ?? scanner.take(/[^\s=!<>~"'(),]+/y);
  if (!field) throw new Trouble('Begin a condition with a field, like status = open');
  const operator = OPERATORS.find(([written]) => scanner.operator(written))?.[1];
  if (!operator) throw new Trouble(`Write an operator after ${field}: ${OPERATOR_HINT}`);
  return { type: 'Condition', content: { field, operator, value: readOperand(scanner, operator, field) } };
}

function readOperand(scanner: Scanner, operator: Operator, field: string): unknown {
  if (operator === 'Exists') return scanner.word('false') ? false : (scanner.word('true'), true);
  if (operator === 'In' || operator === 'NotIn') return readList(scanner, field);
  const value = readValue(scanner, /.+?(?=\s+and(?:\s|$)|\s*$)/iy);
  if (value === undefined) throw new Trouble(`Write a value after ${field}`);
  // Parts of a text are texts, also where they look like numbers.
  return operator === 'Contains' || operator.endsWith('With') ? String(value.value) : value.value;
}

function readList(scanner: Scanner, field: string): unknown[] {
  if (!scanner.take(/\(/y)) throw new Trouble(`Write the values of ${field} in brackets: ${field} in (a, b)`);
  const values: unknown[] = [];
  while (!scanner.take(/\)/y)) {
    const value = readValue(scanner, /[^,)]+/y);
    if (value === undefined) throw new Trouble(`Close the list of ${field} with a bracket`);
    values.push(value.value);
    scanner.take(/,/y);
  }
  return values;
}

/** A quoted text, or whatever `bare` takes, which may be a number or a word of its own. */
function readValue(scanner: Scanner, bare: RegExp): { value: unknown } | undefined {
  const quoted = scanner.quoted();
  if (quoted !== undefined) return { value: quoted };
  const text = scanner.take(bare)?.trim();
  return text ? { value: meaning(text) } : undefined;
}

const WORDS: Readonly<Record<string, unknown>> = { true: true, false: false, null: null };
/** A number that would be written just so; `007` is a name. */
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

function meaning(text: string): unknown {
  const word = text.toLowerCase();
  if (Object.hasOwn(WORDS, word)) return WORDS[word];
  return NUMBER.test(text) ? Number(text) : text;
}

/** Goes through a text. White space before everything is passed over. */
class Scanner {
  #at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  atEnd(): boolean {
    this.#skip();
    return this.#at >= this.#text.length;
  }

  /** What is left, cut to what fits into a sentence. */
  rest(): string {
    return this.#text.slice(this.#at, this.#at + 24);
  }

  /** Takes what a sticky pattern finds here. */
  take(pattern: RegExp): string | undefined {
    this.#skip();
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  /** Takes a text in quotes; a backslash keeps a quote within. */
  quoted(): string | undefined {
    const found = this.take(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/y);
    return found?.slice(1, -1).replace(/\\(.)/g, '$1');
  }

  /** Takes a word, in any case. */
  word(word: string): boolean {
    return this.take(new RegExp(`${word.replace(' ', '\\s+')}(?![\\w.-])`, 'iy')) !== undefined;
  }

  operator(written: string): boolean {
    return /^[a-z]/.test(written) ? this.word(written) : this.take(new RegExp(written, 'y')) !== undefined;
  }

  #skip(): void {
    while (/\s/.test(this.#text[this.#at] ?? '')) this.#at += 1;
  }
}
