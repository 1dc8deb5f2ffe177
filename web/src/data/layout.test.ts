//! Which rows are drawn.

import { expect, test } from 'vitest';
import { layOut, ROW, scrollTo } from './layout';

const VIEW = 720;

test('only what is seen is drawn, and a little beyond', () => {
  expect(layOut(100_000, 50_000 * ROW, VIEW)).toEqual({ height: 100_000 * ROW, first: 49_992, end: 50_028, top: 49_992 * ROW });
  expect(layOut(3, 0, VIEW)).toEqual({ height: 3 * ROW, first: 0, end: 3, top: 0 });
  expect(layOut(0, 0, VIEW)).toMatchObject({ first: 0, end: 0 });
});

test.each([1, 20, 21, 1_000, 100_000, 5_000_000])('the last of %i rows is reached, in an element that browsers can scroll', (total) => {
  const { height, first, end, top } = layOut(total, Number.MAX_SAFE_INTEGER, VIEW);
  expect(end).toBe(total);
  expect(height).toBeLessThanOrEqual(12_000_000);
  expect(top + (end - first) * ROW).toBeCloseTo(height, 3);
});

test.each([0, 1, 19, 20, 49_999, 99_999])('scrolling to row %i shows it, and no further than needed', (row) => {
  for (const [total, start] of [[100_000, 0], [100_000, 3_000_000], [2_000_000, 6_000_000]] as const) {
    const scroll = scrollTo(row, total, start, VIEW);
    const { first, end, top } = layOut(total, scroll, VIEW);
    expect(row).toBeGreaterThanOrEqual(first);
    expect(row).toBeLessThan(end);
    const at = top + (row - first) * ROW - scroll;
    expect(at).toBeGreaterThanOrEqual(-0.01);
    expect(at).toBeLessThanOrEqual(VIEW - ROW + 0.01);
  }
  expect(scrollTo(5, 100_000, 0, VIEW)).toBe(0);
});
