//! Columns from schemas and records.

import { expect, test } from 'vitest';
import { columnsOf } from './columns';

const records = [
  { id: 'a', name: 'Ada', age: 36, tags: ['x'] },
  { id: 'b', name: 'Bob', age: 'unknown', note: null, at: '2026-01-31T12:00:00Z' },
  { id: 'c', age: 41, active: true },
];
const shown = (columns: ReturnType<typeof columnsOf>) => columns.map(({ name, kind }) => `${name} ${kind}`);

test('records say which columns there are, and most of them of which kind', () => {
  expect(shown(columnsOf(records, {}))).toEqual(['id text', 'name text', 'age number', 'tags json', 'note text', 'at date', 'active boolean']);
});

test('a schema comes first and knows better', () => {
  const columns = columnsOf(records, { age: { field_type: 'Integer' }, size: { field_type: 'string', enums: ['S', 'L'] } });
  expect(shown(columns).slice(0, 3)).toEqual(['id text', 'age number', 'size text']);
  expect(columns[2]?.choices).toEqual(['S', 'L']);
});

test('columns keep their places and widths while others appear', () => {
  const before = columnsOf(records.slice(0, 1), {});
  const after = columnsOf([{ id: 'z', zeal: 1, name: 'a much longer name than before' }, ...records], {}, before);
  expect(after.slice(0, before.length)).toEqual(before);
  expect(after.map(({ name }) => name)).toContain('zeal');
  expect(columnsOf(records.slice(0, 1), {}, after)).toBe(after);
});
