//! Reading while it streams must end where reading at once ends, and must not cost more than a few times as much.

import { Lexer } from 'marked';
import { describe, expect, test } from 'vitest';
import { BlockReader } from './blocks';
import { repair } from './repair';

const answer = `Each order line names **one** supplier.

| table | rows |
| --- | ---: |
| \`factv_order\` | 12 |
| dimv_supplier | 3 |

1. first
2. second

   still second

- a
- b

\`\`\`sql
select *

from orders
\`\`\`

Not a heading:
#1 of many, see [the docs](https://example.org/x).

> quoted
`;

const types = (text: string) => new Lexer({ gfm: true }).lex(text).filter((token) => token.type !== 'space').map((token) => token.raw);

/** Streams `text` in pieces of `size` and gives the raw blocks at the end. */
function stream(text: string, size: number) {
  const reader = new BlockReader();
  for (let end = size; end < text.length; end += size) reader.read(text.slice(0, end), false);
  return { reader, raws: reader.read(text, true).map((block) => block.raw) };
}

describe('blocks', () => {
  test.each([1, 2, 3, 7, 50])('streamed by %i characters are those of the whole', (size) => {
    expect(stream(answer, size).raws).toEqual(types(answer));
  });

  test('that are settled keep their identity', () => {
    const reader = new BlockReader();
    const [first] = reader.read('one\n\ntwo\n\nthree', false);
    expect(reader.read('one\n\ntwo\n\nthree and\n\nmore', false)[0]).toBe(first);
    expect(reader.read('one\n\ntwo\n\nthree and\n\nmore.', true)[0]).toBe(first);
  });

  test('start over when another text comes', () => {
    const reader = new BlockReader();
    reader.read('one\n\ntwo\n\nthree', false);
    expect(reader.read('completely\n\ndifferent', true).map((block) => block.raw.trim())).toEqual(['completely', '', 'different'].filter(Boolean));
  });

  test('many small ones cost little more than reading once', () => {
    const text = 'A sentence of some length, with `code` in it.\n\n'.repeat(500);
    expect(stream(text, 5).reader.work).toBeLessThan(text.length * 20);
  });

  test('one long one costs a fixed multiple, however long', () => {
    const cost = (lines: number) => {
      const text = '- an item that says something about a table\n'.repeat(lines);
      return stream(text, 5).reader.work / text.length;
    };
    expect(cost(4_000)).toBeLessThan(cost(1_000) * 1.5);
  });
});

describe('repair', () => {
  test.each([
    ['a **bold', 'a **bold**'],
    ['a **bold ', 'a **bold** '],
    ['a **', 'a '],
    ['a **b *c', 'a **b *c***'],
    ['a `co', 'a `co`'],
    ['a `x*y', 'a `x*y`'],
    ['done **bold** and *it', 'done **bold** and *it*'],
    ['snake_case_name', 'snake_case_name'],
    ['2 * 3', '2 * 3'],
    ['see [the docs](https://exa', 'see the docs'],
    ['see [the do', 'see the do'],
    ['![chart](https://evil.example/?q=', 'chart'],
    ['- [', '- ['],
    ['- [x', '- [x'],
    ['text\n-', 'text\n'],
    ['- one\n- **two', '- one\n- **two**'],
    ['| a | b |\n| --- | --- |\n| **x', '| a | b |\n| --- | --- |\n| **x**'],
    ['```sql\nselect **', '```sql\nselect **'],
    ['```sql\nselect 1\n``', '```sql\nselect 1\n'],
    ['```\ncode\n```\n\nand *so', '```\ncode\n```\n\nand *so*'],
    ['hashed [1', 'hashed '],
    ['hashed [1, 2', 'hashed '],
    ['hashed [1]', 'hashed [1]'],
    ['gone ~~wro', 'gone ~~wro~~'],
  ])('%j is shown as %j', (half, whole) => {
    expect(repair(half)).toBe(whole);
  });
});
