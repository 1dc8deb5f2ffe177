//! Where marks are found in a text, and where not.

import { expect, test } from 'vitest';
import { citationPieces } from './citations';

const mark = (text: string, ...numbers: number[]) => ({ mark: text, numbers });

test.each([
  ['no marks', ['no marks']],
  ['', ['']],
  ['Keys are hashed [1].', ['Keys are hashed ', mark('[1]', 1), '.']],
  ['[1][12]', [mark('[1]', 1), mark('[12]', 12)]],
  ['both [2, 3] and [4;5]', ['both ', mark('[2, 3]', 2, 3), ' and ', mark('[4;5]', 4, 5)]],
  ['a[i] = [] [x] [1234] [1', ['a[i] = [] [x] [1234] [1']],
])('%j is cut at its marks', (text, pieces) => {
  expect(citationPieces(text)).toEqual(pieces);
});
