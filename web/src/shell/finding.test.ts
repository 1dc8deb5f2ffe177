//! What the palette finds.

import { expect, test } from 'vitest';
import { findEntries, type Entry } from './finding';

const entry = (kind: Entry['kind'], title: string): Entry => ({ id: title, kind, title, run: () => {} });
const entries = [entry('Action', 'New chat'), entry('Chat', 'Late deliveries'), entry('Table', 'factv_delivery'), entry('Table', 'dimv_supplier')];
const found = (typed: string) => findEntries(entries, typed).map((each) => each.title);

test('nothing typed shows everything in order', () => {
  expect(found('')).toEqual(entries.map((each) => each.title));
});

test('beginnings come before words, words before middles', () => {
  expect(found('deliver')).toEqual(['Late deliveries', 'factv_delivery']);
  expect(found('fact')).toEqual(['factv_delivery']);
  expect(found('chat new')).toEqual(['New chat']);
  expect(found('table sup')).toEqual(['dimv_supplier']);
});

test('typed punctuation is only text', () => {
  expect(found('(')).toEqual([]);
});
