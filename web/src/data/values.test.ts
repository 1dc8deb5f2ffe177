//! Values as text, and text as values.

import { expect, test } from 'vitest';
import { cellText, kindOf, readText, type Kind } from './values';

test('each value has its kind', () => {
  const values = ['x', 1.5, true, '2026-01-31T12:00:00Z', '2026-01-31', { a: 1 }, [1], null, undefined];
  expect(values.map(kindOf)).toEqual(['text', 'number', 'boolean', 'date', 'text', 'json', 'json', undefined, undefined]);
});

test('a cell is one short line', () => {
  expect(cellText('two\n  lines')).toBe('two lines');
  expect(cellText({ a: [1, 'x'] })).toBe('{"a":[1,"x"]}');
  expect(cellText('2026-01-31T12:00:00.123+02:00')).toBe('2026-01-31 12:00:00+02:00');
  expect(cellText('x'.repeat(1_000))).toHaveLength(240);
  expect(cellText(undefined)).toBe('');
});

const reads = (text: string, kind: Kind, value: unknown) => expect(readText(text, kind)).toEqual({ value });
const refuses = (text: string, kind: Kind, words: RegExp) => expect(readText(text, kind)).toMatchObject({ trouble: expect.stringMatching(words) as string });

test('what was written becomes a value of the kind', () => {
  reads(' 12.50 ', 'number', 12.5);
  reads('TRUE', 'boolean', true);
  reads('007', 'text', '007');
  reads('', 'text', '');
  reads('', 'number', null);
  reads('{"a": 1}', 'json', { a: 1 });
});

test('what cannot be read says what to write', () => {
  refuses('ten', 'number', /“ten” is not a number/);
  refuses('1e999', 'number', /not a number/);
  refuses('yes', 'boolean', /true or false/);
  refuses('tomorrow', 'date', /2026-01-31T12:00:00Z/);
  refuses('{', 'json', /not JSON/);
});
