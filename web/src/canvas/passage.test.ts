//! Passages in parts.

import { expect, test } from 'vitest';
import { hostOf, partsOf, scoreText } from './passage';

/** Marked parts in brackets. */
const shown = (passage: string, ...ranges: [number, number][]) =>
  partsOf({ passage, highlights: ranges.map(([start, end]) => ({ start, end })) })
    .map((part) => (part.marked ? `[${part.text}]` : part.text))
    .join('');

test('is cut at its highlights', () => {
  expect(shown('Keys are hashed. They are long.', [0, 16])).toBe('[Keys are hashed.] They are long.');
  expect(shown('abc', [0, 1], [2, 3])).toBe('[a]b[c]');
  expect(shown('abc')).toBe('abc');
  expect(partsOf({})).toEqual([]);
});

test('ranges that do not fit lose nothing of the passage', () => {
  expect(shown('abc', [2, 9], [1, 1], [3, 2])).toBe('abc');
  expect(shown('abcdef', [0, 3], [2, 4], [4, 5])).toBe('[abc]d[e]f');
});

test('addresses and scores', () => {
  expect([hostOf('https://example.org:8443/a?b'), hostOf('no address')]).toEqual(['example.org:8443', '']);
  expect([scoreText(0.914), scoreText(7), scoreText(-1)]).toEqual(['0.91', '1.00', '0.00']);
});
