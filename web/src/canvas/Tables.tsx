//! The tables of the catalogue, to be filtered and asked about.

import { useDeferredValue, useMemo, useState } from 'react';
import type { Catalog, Resource, Table } from '../server/resources';
import { TextButton } from '../shell/controls';
import { SearchIcon } from '../shell/icons';

const KIND: Readonly<Record<Table['table_type'], string>> = { FACT: 'Fact', DIMENSION: 'Dimension', VIEW: 'View' };

/** The list with its filter. */
export function Tables({ catalog, onAsk }: { catalog: Resource<Catalog>; onAsk(table: string): void }) {
  const [filter, setFilter] = useState('');
  const wanted = useDeferredValue(filter);
  const tables = catalog.value?.tables;
  const shown = useMemo(() => filterTables(tables ?? [], wanted), [tables, wanted]);
  return (
    <div className="flex min-h-0 flex-1 flex-col" data-testid="tables">
      <div className="border-b border-line p-3">
        <label className="flex items-center gap-2 rounded-lg border border-line bg-page px-3 text-muted focus-within:border-accent">
          <SearchIcon />
          <span className="sr-only">Filter tables</span>
          <input
            value={filter}
            onChange={(event) => setFilter(event.target.value)}
            placeholder="Filter by name, schema or description"
            className="h-9 min-w-0 flex-1 bg-transparent text-sm text-ink outline-none placeholder:text-muted"
          />
          {tables && <span className="text-sm tabular-nums" role="status">{shown.length === tables.length ? tables.length : `${shown.length} of ${tables.length}`}</span>}
        </label>
      </div>
      <ul className="min-h-0 flex-1 overflow-y-auto p-1">
        {shown.map((table) => <Row key={table.full_name} table={table} onAsk={onAsk} />)}
        {tables && shown.length === 0 && <li className="p-3 text-sm text-muted">{tables.length === 0 ? 'No tables are loaded yet' : `No table matches “${wanted}”`}</li>}
        {!tables && catalog.failed && (
          <li className="flex items-center justify-between p-3 text-sm text-muted">The catalogue cannot be read <TextButton onClick={catalog.refresh}>Try again</TextButton></li>
        )}
      </ul>
    </div>
  );
}

function Row({ table, onAsk }: { table: Table; onAsk(table: string): void }) {
  return (
    <li className="[contain-intrinsic-size:auto_64px] [content-visibility:auto]">
      <button type="button" data-testid="table-row" onClick={() => onAsk(table.name)} title={`Ask about ${table.full_name}`} className="w-full rounded-lg px-3 py-2 text-left hover:bg-hover">
        <span className="flex items-baseline gap-2">
          <span className="truncate font-mono text-sm text-ink">{table.name}</span>
          <span className="ml-auto shrink-0 text-sm text-muted">{KIND[table.table_type]} · {table.column_count} {table.column_count === 1 ? 'column' : 'columns'}</span>
        </span>
        <span className="line-clamp-2 text-sm text-muted">{table.description || table.schema}</span>
      </button>
    </li>
  );
}

/** Tables in which every word of the filter occurs; those whose name begins with it come first. */
export function filterTables(tables: readonly Table[], filter: string): readonly Table[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const first = words[0];
  if (first === undefined) return tables;
  const hits = tables.filter((table) => {
    const text = `${table.full_name} ${table.table_type} ${table.description}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const begins = (table: Table) => (table.name.toLowerCase().startsWith(first) ? 0 : 1);
  return [...hits].sort((a, b) => begins(a) - begins(b));
}
