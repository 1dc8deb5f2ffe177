//! Which columns a collection's table has: those of its schema, then those that its records show.

import type { DataRecord } from '@tidewire/client/live-data';
import { cellText, kindOf, type Kind } from './values';

/** What a schema says of a member; more than is used here. */
export interface FieldSchema {
  readonly field_type?: string | null;
  readonly required?: boolean | null;
  readonly enums?: readonly unknown[] | null;
}

/** A column of the table. */
export interface Column {
  readonly name: string;
  readonly kind: Kind;
  /** In pixels. */
  readonly width: number;
  /** Values that the schema allows, if it names them. */
  readonly choices?: readonly unknown[];
}

/** Wider tables are shown up to here; the record's own view has everything. */
export const MAX_COLUMNS = 60;
/** Records that are looked at for kinds and widths. */
const SAMPLE = 100;
const CHARACTER = 7.4;
/** Of the font for ids and JSON. */
const MONO = 7.9;
const PADDING = 34;
const NARROWEST = 72;
const WIDEST = 320;
/** Long ids are alike in their beginnings and rarely read. */
const WIDEST_ID = 220;
/** Room for the mark beside a sorted column's name. */
const MARK = 20;

/** The columns. `known` are those of before, which keep their places and widths while the table is open. */
export function columnsOf(records: readonly DataRecord[], fields: Readonly<Record<string, FieldSchema>>, known: readonly Column[] = []): readonly Column[] {
  const names = new Set(['id', ...known.map((column) => column.name), ...Object.keys(fields)]);
  const sample = records.slice(0, SAMPLE);
  for (const record of sample) for (const name of Object.keys(record)) names.add(name);
  const before = new Map(known.map((column) => [column.name, column]));
  const columns = [...names].slice(0, MAX_COLUMNS).map((name) => before.get(name) ?? newColumn(name, sample, fields[name]));
  return columns.length === known.length ? known : columns;
}

function newColumn(name: string, sample: readonly DataRecord[], field: FieldSchema | undefined): Column {
  const values = sample.map((record) => record[name]);
  const kind = (field && kindOfSchema(field)) ?? mostly(values);
  const choices = field?.enums?.length ? { choices: field.enums } : {};
  return { name, kind, width: widthOf(name, kind, values), ...choices };
}

const KINDS: Readonly<Record<string, Kind>> = {
  string: 'text', uuid: 'text', duration: 'text', decimal: 'text', binary: 'text', bytes: 'text',
  integer: 'number', float: 'number', number: 'number',
  boolean: 'boolean', datetime: 'date',
  object: 'json', array: 'json', set: 'json', vector: 'json',
};

function kindOfSchema(field: FieldSchema): Kind | undefined {
  return KINDS[field.field_type?.toLowerCase() ?? ''];
}

/** The kind that most values have. */
function mostly(values: readonly unknown[]): Kind {
  const counts = new Map<Kind, number>();
  for (const value of values) {
    const kind = kindOf(value);
    if (kind) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 'text';
}

/** Wide enough for nine values of ten, within bounds. */
function widthOf(name: string, kind: Kind, values: readonly unknown[]): number {
  const isId = name === 'id';
  const lengths = values.map((value) => cellText(value).length).sort((a, b) => a - b);
  const usual = lengths[Math.floor(lengths.length * 0.9)] ?? 0;
  const wanted = Math.max(usual * (isId || kind === 'json' ? MONO : CHARACTER) + PADDING, name.length * CHARACTER + PADDING + MARK);
  return Math.round(Math.min(isId ? WIDEST_ID : WIDEST, Math.max(NARROWEST, wanted)));
}
