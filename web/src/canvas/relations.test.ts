//! Reading a diagram as a list.

import { expect, test } from 'vitest';
import { readEntities } from './relations';

test('entities with their references, quoted and aliased', () => {
  const source = `erDiagram
    factv_order {
      string order_key PK
    }
    "dim supplier" {
      string supplier_key PK
    }
    t3["plant (old)"] {
    }
    factv_order }o--|| "dim supplier" : supplier_key
    factv_order ||--o{ t3 : "references plant"`;
  expect(readEntities(source)).toEqual([
    { name: 'factv_order', references: [{ to: 'dim supplier', label: 'supplier_key' }, { to: 'plant (old)', label: 'references plant' }] },
    { name: 'dim supplier', references: [] },
    { name: 'plant (old)', references: [] },
  ]);
});

test('names that are written around, and what is left out', () => {
  const source = `erDiagram
    entity_2 }o--|| entity_1 : "rolls up to"
    entity_1["one"] {
        decimal _pk "pk"
    }
    entity_2["say #34;hi#34;"] {
    }
    entity_more["and 7 more tables"]`;
  expect(readEntities(source)).toEqual([
    { name: 'say "hi"', references: [{ to: 'one', label: 'rolls up to' }] },
    { name: 'one', references: [] },
    { name: 'and 7 more tables', references: [] },
  ]);
});

test('other text gives nothing', () => {
  expect(readEntities('graph TD\n a --> b')).toEqual([]);
});
