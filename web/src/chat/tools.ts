//! Tools in words a person would use. A tool that is not known here keeps its own name.

import type { ToolCall } from '../conversation/model';

interface Label {
  readonly running: string;
  readonly done: string;
  /** The argument that says what it was about. */
  readonly subject: string;
}

const LABELS: Readonly<Record<string, Label>> = {
  list_tables: { running: 'Listing tables', done: 'Listed tables', subject: 'schema' },
  get_table_details: { running: 'Reading the table', done: 'Read the table', subject: 'table_name' },
  find_relationships: { running: 'Looking up relationships', done: 'Looked up relationships', subject: 'table_name' },
  search_columns: { running: 'Searching columns', done: 'Searched columns', subject: 'pattern' },
  get_lineage: { running: 'Tracing lineage', done: 'Traced lineage', subject: 'table_name' },
  query_collection: { running: 'Querying', done: 'Queried', subject: 'collection' },
};

/** What the tool does or did. */
export function toolTitle(tool: ToolCall): string {
  const label = LABELS[tool.name];
  if (!label) return tool.name;
  return tool.state === 'running' ? label.running : label.done;
}

/** What it was about, if its arguments say so. */
export function toolSubject(tool: ToolCall): string | undefined {
  const key = LABELS[tool.name]?.subject;
  if (key === undefined || typeof tool.arguments !== 'object' || tool.arguments === null) return undefined;
  const value = (tool.arguments as Record<string, unknown>)[key];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** A duration in words: "120 ms", "1.4 s". */
export function inTime(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** A tool's result, ready to be shown: rows if it is a list of flat records, else text. */
export type ToolResult =
  | { readonly kind: 'rows'; readonly columns: readonly string[]; readonly rows: readonly Record<string, unknown>[]; readonly total: number }
  | { readonly kind: 'text'; readonly text: string };

/** Records shown of a long result. */
const ROWS = 50;
/** Columns beyond this make a table that nobody reads. */
const COLUMNS = 8;

/** Reads the JSON text of a result. What is not JSON is shown as it came. */
export function readResult(json: string): ToolResult {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return { kind: 'text', text: json };
  }
  const records = recordsIn(value);
  if (!records) return { kind: 'text', text: typeof value === 'string' ? value : JSON.stringify(value, null, 2) };
  const columns = [...new Set(records.slice(0, ROWS).flatMap((record) => Object.keys(record)))].slice(0, COLUMNS);
  return { kind: 'rows', columns, rows: records.slice(0, ROWS), total: records.length };
}

/** The value itself, or the only list in it, if it is made of flat records. */
function recordsIn(value: unknown): readonly Record<string, unknown>[] | undefined {
  if (isRecords(value)) return value;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const members = Object.values(value);
  const lists = members.filter(Array.isArray);
  const rest = members.filter((member) => typeof member === 'object' && member !== null && !Array.isArray(member));
  return lists.length === 1 && rest.length === 0 && isRecords(lists[0]) ? lists[0] : undefined;
}

function isRecords(value: unknown): value is Record<string, unknown>[] {
  return Array.isArray(value) && value.length > 0 && value.every(isFlat);
}

function isFlat(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    && Object.values(value).every((member) => typeof member !== 'object' || member === null);
}

/** A member of a record as text. */
export function cellText(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
