//! The keyboard in a grid.

import { expect, test } from 'vitest';
import { step } from './moving';

test.each([
  ['ArrowDown', 6, 2],
  ['ArrowLeft', 5, 1],
  ['PageDown', 15, 2],
  ['PageUp', 0, 2],
  ['Home', 5, 0],
  ['End', 5, 3],
  ['Ctrl+End', 99, 3],
  ['Ctrl+Home', 0, 0],
])('%s', (key, row, column) => {
  expect(step({ row: 5, column: 2 }, key, 100, 4, 10)).toEqual({ row, column });
});

test('the edges hold, and other keys are left alone', () => {
  expect(step({ row: 0, column: 0 }, 'ArrowUp', 100, 4, 10)).toEqual({ row: 0, column: 0 });
  expect(step({ row: 99, column: 3 }, 'ArrowRight', 100, 4, 10)).toEqual({ row: 99, column: 3 });
  expect(step({ row: 0, column: 0 }, 'x', 100, 4, 10)).toBeUndefined();
});
