//! What is written in the filter bar, and what the server is asked.

import { expect, test } from 'vitest';
import { readFilter } from './filter';

const condition = (field: string, operator: string, value: unknown) => ({ type: 'Condition', content: { field, operator, value } });
const check = (text: string, filter: unknown) => expect(readFilter(text)).toMatchObject({ filter });
const refuses = (text: string, words: RegExp) => expect(readFilter(text)).toEqual({ trouble: expect.stringMatching(words) as string });

test('nothing is no filter', () => {
  expect(readFilter('   ')).toEqual({ filter: undefined, fields: [] });
});

test.each([
  ['status = open', condition('status', 'Eq', 'open')],
  ['total>=12.5', condition('total', 'Gte', 12.5)],
  ['total <> -3', condition('total', 'Ne', -3)],
  ['express = true', condition('express', 'Eq', true)],
  ['note = null', condition('note', 'Eq', null)],
  ['zip = 007', condition('zip', 'Eq', '007')],
  ['zip = "12"', condition('zip', 'Eq', '12')],
  ['name = Ada Lovelace', condition('name', 'Eq', 'Ada Lovelace')],
  ["name contains 'and so'", condition('name', 'Contains', 'and so')],
  ['name ~ 12', condition('name', 'Contains', '12')],
  ['name STARTS  WITH Ad', condition('name', 'StartsWith', 'Ad')],
  ['address.city ends with burg', condition('address.city', 'EndsWith', 'burg')],
  ['city in (Rome, "New York", 3)', condition('city', 'In', ['Rome', 'New York', 3])],
  ['city not in (Rome)', condition('city', 'NotIn', ['Rome'])],
  ['note exists', condition('note', 'Exists', true)],
  ['note exists false', condition('note', 'Exists', false)],
  ['"first name" = "a \\"b\\""', condition('first name', 'Eq', 'a "b"')],
  ['index = 3', condition('index', 'Eq', 3)],
])('%s', check);

test('several conditions are joined, and say which fields they look at', () => {
  expect(readFilter('a = Rome and b > 2 AND a != x')).toEqual({
    filter: { type: 'Logical', content: { operator: 'And', expressions: [condition('a', 'Eq', 'Rome'), condition('b', 'Gt', 2), condition('a', 'Ne', 'x')] } },
    fields: ['a', 'b'],
  });
});

test('a mistake is said in a sentence that helps', () => {
  refuses('status', /Write an operator after status/);
  refuses('= 3', /Begin a condition with a field/);
  refuses('total >', /Write a value after total/);
  refuses('a = "x" b = 2', /Write “and” before “b = 2”/);
  refuses('city in Rome', /in brackets: city in \(a, b\)/);
  refuses('city in (Rome', /Close the list of city/);
  refuses('a = 1 and', /Begin a condition with a field/);
});
