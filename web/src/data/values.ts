//! Values of records as text in cells, and text of people as values.

/** What a cell holds, as far as showing and editing it goes. */
export type Kind = 'text' | 'number' | 'boolean' | 'date' | 'json';

/** The kind of a value; `undefined` where there is none. */
export function kindOf(value: unknown): Kind | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value === 'number') return 'number';
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'string') return isDate(value) ? 'date' : 'text';
  return 'json';
}

const DATE = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})$/;

function isDate(text: string): boolean {
  return DATE.test(text) && !Number.isNaN(Date.parse(text));
}

/** More than this is never seen in a cell. */
const CELL_CHARACTERS = 240;

/** A value in one line. */
export function cellText(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return short(isDate(value) ? dateText(value) : value);
  return short(typeof value === 'object' ? JSON.stringify(value) : String(value));
}

/** The wall clock of the value itself: a table must not say another hour than the record. */
function dateText(text: string): string {
  return text.replace('T', ' ').replace(/\.\d+/, '').replace(/Z$/, '');
}

function short(text: string): string {
  return text.slice(0, CELL_CHARACTERS).replace(/\s+/g, ' ');
}

/** What an editor begins with. */
export function editText(value: unknown): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** What somebody has written: a value, or a sentence that says what is wrong with it. */
export type Read = { readonly value: unknown } | { readonly trouble: string };

/** Reads an editor's text as a value of this kind. An empty field is no value, but for texts. */
export function readText(text: string, kind: Kind): Read {
  if (kind === 'text') return { value: text };
  const trimmed = text.trim();
  return trimmed === '' ? { value: null } : READERS[kind](trimmed);
}

const READERS: Readonly<Record<Exclude<Kind, 'text'>, (text: string) => Read>> = {
  number: (text) => (Number.isFinite(Number(text)) ? { value: Number(text) } : { trouble: `“${text}” is not a number` }),
  boolean: (text) => (/^(?:true|false)$/i.test(text) ? { value: text.toLowerCase() === 'true' } : { trouble: 'Write true or false' }),
  date: (text) => (isDate(text) ? { value: text } : { trouble: 'Write a moment like 2026-01-31T12:00:00Z' }),
  json: readJson,
};

function readJson(text: string): Read {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (thrown) {
    return { trouble: `This is not JSON: ${(thrown as Error).message}` };
  }
}

/** Whether two values are the same JSON. */
export function sameValue(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
}
