//! Entities and links.

import { expect, test } from 'vitest';
import { decodeEntities, safeHref } from './text';

test.each([
  ['a &lt; b &amp;&amp; c', 'a < b && c'],
  ['&#8364; &#x20AC;', '€ €'],
  ['&unknown; &#0; &#99999999;', '&unknown; &#0; &#99999999;'],
])('%j reads %j', (source, text) => {
  expect(decodeEntities(source)).toBe(text);
});

test.each([
  ['https://example.org/a', 'https://example.org/a'],
  ['mailto:a@example.org', 'mailto:a@example.org'],
  ['javascript:alert(1)', undefined],
  [' JAVASCRIPT:alert(1)', undefined],
  ['data:text/html,x', undefined],
  ['//example.org', undefined],
  ['/api/chats', undefined],
])('%j links to %j', (href, target) => {
  expect(safeHref(href)).toBe(target);
});
