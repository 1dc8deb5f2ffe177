//! A table and what happens to it: changes of others, edits of one's own, refusals.

import { LiveDataError, type Change, type DataRecord, type QueryOptions, type WatchListener } from '@tidewire/client/live-data';
import { expect, test } from 'vitest';
import { Table, type TableQuery, type TableSource } from './table';

const ALL: TableQuery = { collection: 'orders', filter: undefined, filtered: [], sort: undefined };

/** A collection in memory, whose changes the test tells. */
function bench(query: Partial<TableQuery> = {}) {
  const rows: DataRecord[] = [{ id: 'a', n: 1, city: 'Rome' }, { id: 'b', n: 2, city: 'Oslo' }];
  const world = { now: 0, queries: [] as QueryOptions[], watches: 1, refuse: undefined as Error | undefined };
  let listener: WatchListener = {};
  const later: { at: number; callback: () => void }[] = [];
  const live: TableSource['live'] = {
    query: (_, options = {}) => {
      world.queries.push(options);
      const { skip = 0, limit = Infinity } = options;
      return Promise.resolve(rows.slice(skip, skip + limit));
    },
    watch: (_, told) => {
      listener = told;
      return { stop: () => undefined, begin: () => (world.watches += 1) } as never;
    },
    update: (_, id, changes) => (world.refuse ? Promise.reject(world.refuse) : Promise.resolve({ ...(rows.find((row) => row.id === id) as DataRecord), ...changes })),
    insert: () => (world.refuse ? Promise.reject(world.refuse) : Promise.resolve('new')),
    delete: () => (world.refuse ? Promise.reject(world.refuse) : Promise.resolve({ id: 'a' })),
    get: (_, id) => Promise.resolve({ id, far: true }),
  };
  const table = new Table(
    {
      live,
      facts: () => Promise.resolve({ count: rows.length, fields: {} }),
      schedule: (callback, delay) => void later.push({ at: world.now + delay, callback }),
      now: () => world.now,
    },
    { ...ALL, ...query },
  );
  const pass = async (ms: number) => {
    world.now += ms;
    for (const due of later.filter(({ at }) => at <= world.now)) {
      later.splice(later.indexOf(due), 1);
      due.callback();
    }
    await new Promise((resolve) => setImmediate(resolve));
  };
  const change = (event: Change['event'], ids: string[], records: DataRecord[] = []) => listener.change?.({ event, ids, records, offset: 1 });
  table.open();
  return { table, rows, world, pass, change, told: () => listener };
}

test('the rows are there, and the columns with them', async () => {
  const { table, pass } = bench();
  await pass(0);
  expect(table.total).toEqual({ count: 2, exact: true });
  expect(table.columns.map(({ name }) => name)).toEqual(['id', 'n', 'city']);
  expect(table.row(1)).toEqual({ id: 'b', n: 2, city: 'Oslo' });
});

test('a change of another shows at once, and only its cell glows, for a moment', async () => {
  const { table, pass, change, world } = bench();
  await pass(0);
  change('update', ['a'], [{ id: 'a', n: 9, city: 'Rome' }]);
  expect(table.row(0)).toMatchObject({ n: 9 });
  expect([table.glows('a', 'n'), table.glows('a', 'city'), table.glows('b', 'n')]).toEqual([true, false, false]);
  await pass(2_000);
  expect(table.glows('a', 'n')).toBe(false);
  expect(world.queries).toHaveLength(1);
});

test('new and deleted rows are counted, and a storm of them is read once', async () => {
  const { table, rows, pass, change, world } = bench();
  await pass(0);
  for (let index = 0; index < 50; index += 1) {
    rows.push({ id: `x${index}` });
    change('insert', [`x${index}`], [{ id: `x${index}` }]);
  }
  await table.pin('a');
  rows.shift();
  change('delete', ['a']);
  expect(table.total.count).toBe(51);
  await pass(500);
  expect(world.queries).toHaveLength(2);
  expect(table.row(0)?.id).toBe('b');
  expect(table.glows('x3', 'anything')).toBe(true);
  expect(table.isGone('a')).toBe(true);
});

test('a change of what rows are sorted by reads them again, another does not', async () => {
  const { pass, change, world } = bench({ sort: { field: 'n', ascending: true } });
  await pass(0);
  change('update', ['a'], [{ id: 'a', n: 1, city: 'Bari' }]);
  await pass(500);
  expect(world.queries).toHaveLength(1);
  change('update', ['a'], [{ id: 'a', n: 5, city: 'Bari' }]);
  await pass(500);
  expect(world.queries).toHaveLength(2);
});

test('rows keep their places while somebody writes in one of them', async () => {
  const { table, rows, pass, change, world } = bench();
  await pass(0);
  table.hold(true);
  rows.unshift({ id: '0' });
  change('insert', ['0'], [{ id: '0' }]);
  await pass(5_000);
  expect(world.queries).toHaveLength(1);
  table.hold(false);
  await pass(0);
  expect(table.row(0)?.id).toBe('0');
});

test('under a filter a record that begins to fit is fetched, and the count is not guessed', async () => {
  const filter = { type: 'Condition', content: { field: 'city', operator: 'Eq', value: 'Rome' } } as const;
  const { table, pass, change, world } = bench({ filter, filtered: ['city'] });
  await pass(0);
  change('update', ['z'], [{ id: 'z', city: 'Rome' }]);
  change('delete', ['unknown']);
  expect(table.total.count).toBe(2);
  await pass(500);
  expect(world.queries).toHaveLength(2);
  expect(world.queries[1]).toMatchObject({ filter });
});

test('an edit shows before the server knows', async () => {
  const { table, pass } = bench();
  await pass(0);
  const done = table.edit('a', { n: 7 });
  expect(table.row(0)).toMatchObject({ n: 7 });
  expect(table.isSaving('a', 'n')).toBe(true);
  expect(await done).toBe(true);
  expect(table.row(0)).toMatchObject({ n: 7 });
  expect(table.isSaving('a', 'n')).toBe(false);
});

test('an edit that is refused is taken back, and the server says why', async () => {
  const { table, pass, world } = bench();
  await pass(0);
  world.refuse = new LiveDataError(422, 'n: must be an integer');
  expect(await table.edit('a', { n: 'x' })).toBe(false);
  expect(table.row(0)).toMatchObject({ n: 1 });
  expect(table.trouble).toEqual({ sentence: 'n: must be an integer', id: 'a', field: 'n' });
  table.dismiss();
  expect(table.trouble).toBeUndefined();
});

test('a refused insert or deletion says why and leaves everything', async () => {
  const { table, pass, world } = bench();
  await pass(0);
  world.refuse = new LiveDataError(403, 'this key may only read orders');
  expect(await table.insert({})).toBeUndefined();
  expect(await table.remove('a')).toBe(false);
  expect(table.trouble?.sentence).toBe('This key may only read orders');
  expect(table.total.count).toBe(2);
});

test('after a gap everything is read again', async () => {
  const { table, rows, pass, told } = bench();
  await pass(0);
  rows.push({ id: 'c' });
  told().reload?.();
  await pass(0);
  expect(table.total.count).toBe(3);
  expect(table.row(2)?.id).toBe('c');
});

test('a refused watch is said instead of an empty table, and is begun again when asked', async () => {
  const { table, pass, told, world } = bench();
  await pass(0);
  told().refused?.(new LiveDataError(403, 'this key may not read orders'));
  expect(table.blocked).toBe('This key may not read orders');
  table.retry();
  expect([table.blocked, world.watches]).toEqual([undefined, 2]);
});

test('an open record is followed where its row is not', async () => {
  const { table, pass, change } = bench();
  await pass(0);
  await table.pin('far');
  expect(table.find('far')).toEqual({ id: 'far', far: true });
  change('update', ['far'], [{ id: 'far', far: false }]);
  expect(table.find('far')).toEqual({ id: 'far', far: false });
});
