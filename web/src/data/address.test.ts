//! Links to tables.

import { expect, test } from 'vitest';
import { addressOf, isData, placeOf, type DataPlace } from './address';

test.each<Partial<DataPlace>>([
  { collection: 'orders', filter: '' },
  { collection: 'orders', filter: 'status = open and total > 10%', sort: { field: 'total', ascending: false } },
  { collection: 'a.b-c', filter: '', sort: { field: 'first name', ascending: true } },
])('a place is found again by its address: %j', (place) => {
  expect(placeOf(addressOf(place))).toEqual(place);
});

test('addresses of chats are not of data', () => {
  expect(['#/d', '#/d/orders', '#/d/orders?sort=a', '#/c/abc', '', '#/data'].map(isData)).toEqual([true, true, true, false, false, false]);
  expect(placeOf('#/d')).toEqual({ filter: '' });
  expect(placeOf('#/d/%')).toEqual({ collection: '%', filter: '' });
});
