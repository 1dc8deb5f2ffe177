//! Rows in pages: what is fetched, kept and forgotten.

import type { DataRecord } from '@tidewire/client/live-data';
import { expect, test } from 'vitest';
import { PAGE, Windows } from './windows';

const name = (index: number) => `r${index}`;

/** So many rows somewhere else; answers come when the test says so. */
function bench(count: number) {
  const asked: number[] = [];
  const waiting: (() => void)[] = [];
  const elsewhere = { count, fails: false };
  const windows = new Windows(async (skip, limit) => {
    asked.push(skip / PAGE);
    await new Promise<void>((resolve) => waiting.push(resolve));
    if (elsewhere.fails) throw new Error('not now');
    const end = Math.min(elsewhere.count, skip + limit);
    return Array.from({ length: Math.max(0, end - skip) }, (_, index): DataRecord => ({ id: name(skip + index), n: skip + index }));
  }, () => undefined);
  const answer = async () => {
    for (let round = 0; round < 20; round += 1) {
      for (const resolve of waiting.splice(0)) resolve();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { windows, asked, answer, elsewhere };
}

test('only what is on the screen is fetched, once', async () => {
  const { windows, asked, answer } = bench(100_000);
  windows.setTotal(100_000);
  windows.want(49_980, 50_020);
  windows.want(49_981, 50_021);
  await answer();
  windows.want(49_982, 50_022);
  await answer();
  expect(asked).toEqual([499, 500]);
  expect(windows.row(50_000)?.id).toBe(name(50_000));
  expect(windows.row(0)).toBeUndefined();
});

test('a fast scroll fetches where it ends, not all that it passes', async () => {
  const { windows, asked, answer } = bench(100_000);
  windows.setTotal(100_000);
  for (let row = 0; row < 90_000; row += 100) windows.want(row, row + 30);
  await answer();
  expect(asked.length).toBeLessThan(8);
  expect(windows.row(89_910)?.id).toBe(name(89_910));
});

test('what was seen long ago is forgotten', async () => {
  const { windows, answer } = bench(100_000);
  windows.setTotal(100_000);
  for (let page = 0; page < 60; page += 1) {
    windows.want(page * PAGE, page * PAGE + 30);
    await answer();
  }
  expect(windows.size).toBe(40 * PAGE);
  expect(windows.row(0)).toBeUndefined();
  expect(windows.find(name(0))).toBeUndefined();
  expect(windows.row(59 * PAGE)?.id).toBe(name(5_900));
});

test('without a count the table grows until a short page says where it ends', async () => {
  const { windows, answer } = bench(150);
  windows.want(0, 30);
  await answer();
  expect(windows.total).toEqual({ count: 2 * PAGE, exact: false });
  windows.want(90, 120);
  await answer();
  expect(windows.total).toEqual({ count: 150, exact: true });
});

test('a count that was too high is mended by what is read', async () => {
  const { windows, answer, elsewhere } = bench(150);
  windows.setTotal(400);
  windows.want(350, 380);
  await answer();
  expect(windows.total).toEqual({ count: 300, exact: true });
  elsewhere.count = 0;
  windows.want(0, 30);
  await answer();
  expect(windows.total).toEqual({ count: 0, exact: true });
});

test('old rows stay until the new ones are there', async () => {
  const { windows, asked, answer } = bench(150);
  windows.want(0, 30);
  await answer();
  windows.renew();
  expect(windows.row(7)?.id).toBe(name(7));
  await answer();
  expect(asked).toEqual([0, 0]);
});

test('trouble is told, and a retry goes on', async () => {
  const { windows, answer, elsewhere, asked } = bench(150);
  elsewhere.fails = true;
  windows.want(0, 30);
  await answer();
  expect(windows.trouble?.message).toBe('not now');
  windows.want(0, 31);
  expect(asked).toEqual([0]);
  elsewhere.fails = false;
  windows.retry();
  await answer();
  expect(windows.trouble).toBeUndefined();
  expect(windows.row(0)?.id).toBe(name(0));
});

test('a record is replaced where it is', async () => {
  const { windows, answer } = bench(150);
  windows.want(0, 30);
  await answer();
  expect(windows.replace({ id: name(7), n: 700 })).toEqual({ id: name(7), n: 7 });
  expect(windows.row(7)).toEqual({ id: name(7), n: 700 });
  expect(windows.replace({ id: 'elsewhere' })).toBeUndefined();
});
