//! The table itself: only what is on the screen is in the page. The keyboard moves one cell; screen readers hear it.

import { memo, useEffect, useLayoutEffect, useRef, useState, useSyncExternalStore, type KeyboardEvent, type RefObject } from 'react';
import { Busy, TextButton } from '../shell/controls';
import { useHandler } from '../shell/hooks';
import type { Sort } from './address';
import { CellEditor } from './CellEditor';
import type { Column } from './columns';
import { layOut, ROW, scrollTo } from './layout';
import { step, type Cell } from './moving';
import type { Opened } from './RecordPane';
import type { Table } from './table';
import { cellText, kindOf } from './values';

interface GridProps {
  table: Table;
  sort: Sort | undefined;
  onSort(sort: Sort | undefined): void;
  onOpen(opened: Opened): void;
  /** The record that is open at the side. */
  opened: string | undefined;
}

/** The column of row numbers. */
const GUTTER = 60;
/** The heading's height. */
const HEAD = 36;

/** The grid, or what is said in its place. */
export function Grid(props: GridProps) {
  const { table } = props;
  useSyncExternalStore(table.subscribe, table.version);
  if (table.blocked !== undefined && !table.isRead) {
    return <Placeholder>{table.blocked} <TextButton onClick={() => table.retry()}>Try again</TextButton></Placeholder>;
  }
  if (!table.isRead) return <Placeholder><Busy /> Reading…</Placeholder>;
  if (table.total.exact && table.total.count === 0) return <Empty table={table} onOpen={props.onOpen} />;
  return <Rows {...props} />;
}

function Placeholder({ children }: { children: React.ReactNode }) {
  return <div role="status" data-testid="placeholder" className="m-auto flex max-w-md flex-col items-center gap-3 p-6 text-center text-sm text-muted">{children}</div>;
}

function Empty({ table, onOpen }: { table: Table; onOpen(opened: Opened): void }) {
  if (table.query.filter) return <Placeholder>No row fits this filter. When one does, it appears here</Placeholder>;
  return <Placeholder>There is nothing in {table.query.collection} yet. What is written to it appears here <TextButton onClick={() => onOpen({})}>Add the first row</TextButton></Placeholder>;
}

function Rows({ table, sort, onSort, onOpen, opened }: GridProps) {
  const box = useRef<HTMLDivElement>(null);
  const { scroll, viewport } = useScrolled(box);
  const { columns, total } = table;
  const rows = layOut(total.count, scroll, viewport);
  const [at, setAt] = useState<Cell>({ row: 0, column: 0 });
  const [editing, setEditing] = useState<{ cell: Cell; id: string; text?: string }>();
  useEffect(() => table.want(rows.first, rows.end), [table, rows.first, rows.end]);
  const cell = { row: Math.min(at.row, total.count - 1), column: Math.min(at.column, columns.length - 1) };

  const go = (next: Cell) => {
    setAt(next);
    reveal(box.current, next, columns, total.count, viewport);
  };
  const edit = useHandler((target: Cell, text?: string) => {
    const id = table.row(target.row)?.id;
    const column = columns[target.column];
    if (id === undefined || !column) return;
    if (!isEditable(column)) return onOpen({ id });
    setAt(target);
    setEditing({ cell: target, id, ...(text === undefined ? {} : { text }) });
  });
  const press = useHandler((target: Cell, again: boolean) => (again && matchMedia('(pointer: coarse)').matches ? edit(target) : setAt(target)));
  const show = useHandler((row: number) => {
    const id = table.row(row)?.id;
    if (id !== undefined) onOpen({ id });
  });
  const done = (move: 'stay' | 'next') => {
    setEditing(undefined);
    box.current?.focus();
    if (move === 'next') go(step(cell, 'ArrowRight', total.count, columns.length, 1) ?? cell);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (editing || event.target !== box.current) return;
    const next = step(cell, keyOf(event), total.count, columns.length, Math.floor((viewport - HEAD) / ROW) - 1);
    if (next) go(next);
    else if (event.key === 'Enter' || event.key === 'F2') edit(cell);
    else if (event.key === ' ') show(cell.row);
    else if (event.key === 'Delete') onDelete(table, cell.row, onOpen);
    else if (isTyping(event) && table.columns[cell.column]?.kind !== 'json') edit(cell, event.key);
    else return;
    event.preventDefault();
  };

  const width = GUTTER + columns.reduce((sum, column) => sum + column.width, 0);
  const indexes = Array.from({ length: rows.end - rows.first }, (_, index) => rows.first + index);
  return (
    <div
      ref={box}
      role="grid"
      data-testid="grid"
      tabIndex={0}
      aria-label={table.query.collection}
      aria-rowcount={total.exact ? total.count + 1 : -1}
      aria-colcount={columns.length + 1}
      aria-activedescendant={cellId(cell)}
      onKeyDown={onKeyDown}
      className="data-grid min-h-0 flex-1 overflow-auto outline-none"
    >
      <div style={{ width, minWidth: '100%' }}>
        <Head columns={columns} sort={sort} onSort={onSort} />
        <div role="rowgroup" className="relative" style={{ height: rows.height }}>
          <div style={{ transform: `translateY(${rows.top}px)` }}>
            {indexes.map((index) => (
              <Row
                key={index}
                table={table}
                version={table.version()}
                index={index}
                columns={columns}
                active={cell.row === index ? cell.column : undefined}
                opened={opened !== undefined && table.row(index)?.id === opened}
                onPress={press}
                onEdit={edit}
                onShow={show}
              />
            ))}
            {editing && (
              <CellEditor
                key={editing.id}
                table={table}
                id={editing.id}
                column={columns[editing.cell.column] as Column}
                text={editing.text}
                place={placeOf(editing.cell, rows.first, columns)}
                onDone={done}
              />
            )}
          </div>
        </div>
      </div>
    </div>
  );
}

function onDelete(table: Table, row: number, onOpen: (opened: Opened) => void): void {
  const id = table.row(row)?.id;
  if (id !== undefined) onOpen({ id, deleting: true });
}

function isEditable(column: Column): boolean {
  return column.name !== 'id' && column.name !== 'ttl' && column.kind !== 'json';
}

function isTyping(event: KeyboardEvent): boolean {
  return event.key.length === 1 && event.key !== '/' && event.key !== '?' && !event.ctrlKey && !event.metaKey && !event.altKey;
}

function keyOf(event: KeyboardEvent): string {
  return `${event.ctrlKey || event.metaKey ? 'Ctrl+' : ''}${event.key}`;
}

function cellId({ row, column }: Cell): string {
  return `cell-${row}-${column}`;
}

function leftOf(column: number, columns: readonly Column[]): number {
  return columns.slice(0, column).reduce((sum, each) => sum + each.width, GUTTER);
}

function placeOf({ row, column }: Cell, first: number, columns: readonly Column[]) {
  return { left: leftOf(column, columns), top: (row - first) * ROW, width: columns[column]?.width ?? 0 };
}

/** Scrolls so that a cell is seen, heading and row numbers aside. */
function reveal(box: HTMLElement | null, { row, column }: Cell, columns: readonly Column[], total: number, viewport: number): void {
  if (!box) return;
  box.scrollTop = scrollTo(row, total, box.scrollTop, viewport);
  const left = leftOf(column, columns);
  const right = left + (columns[column]?.width ?? 0);
  if (left - GUTTER < box.scrollLeft) box.scrollLeft = left - GUTTER;
  else if (right > box.scrollLeft + box.clientWidth) box.scrollLeft = right - box.clientWidth;
}

/** Where the box is scrolled to, and how many pixels of rows are seen. */
function useScrolled(box: RefObject<HTMLDivElement | null>): { scroll: number; viewport: number } {
  const [seen, setSeen] = useState({ scroll: 0, viewport: 600 });
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const look = () => setSeen({ scroll: element.scrollTop, viewport: Math.max(ROW, element.clientHeight - HEAD) });
    const resized = new ResizeObserver(look);
    element.addEventListener('scroll', look, { passive: true });
    resized.observe(element);
    look();
    return () => {
      element.removeEventListener('scroll', look);
      resized.disconnect();
    };
  }, [box]);
  return seen;
}

const Head = memo(function Head({ columns, sort, onSort }: { columns: readonly Column[]; sort: Sort | undefined; onSort(sort: Sort | undefined): void }) {
  return (
    <div role="rowgroup" className="sticky top-0 z-[2]">
      <div role="row" aria-rowindex={1} className="flex border-b border-line bg-side text-sm font-semibold text-muted">
        <div role="columnheader" className="data-gutter bg-side"><span className="sr-only">Row</span></div>
        {columns.map((column, index) => (
          <div key={column.name} role="columnheader" aria-colindex={index + 2} aria-sort={ariaSort(column, sort)} style={{ width: column.width }} className="shrink-0">
            <button
              type="button"
              data-testid={`head-${column.name}`}
              title={`Sort by ${column.name}`}
              onClick={() => onSort(nextSort(column.name, sort))}
              className={`flex h-9 w-full items-center gap-1 px-3 hover:bg-hover hover:text-ink ${column.kind === 'number' ? 'justify-end' : ''}`}
            >
              <span className="truncate">{column.name}</span>
              {sort?.field === column.name && <Arrow ascending={sort.ascending} />}
            </button>
          </div>
        ))}
      </div>
    </div>
  );
});

function Arrow({ ascending }: { ascending: boolean }) {
  return (
    <svg width="10" height="10" viewBox="0 0 10 10" aria-hidden="true" className={`shrink-0 text-accent ${ascending ? '' : 'rotate-180'}`}>
      <path d="M5 8.5v-7M2 4.5l3-3 3 3" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  );
}

function ariaSort(column: Column, sort: Sort | undefined) {
  if (sort?.field !== column.name) return undefined;
  return sort.ascending ? 'ascending' : 'descending';
}

/** Up, down, and back to the collection's own order. */
function nextSort(field: string, sort: Sort | undefined): Sort | undefined {
  if (sort?.field !== field) return { field, ascending: true };
  return sort.ascending ? { field, ascending: false } : undefined;
}

interface RowProps {
  table: Table;
  /** Changes when the row may have. */
  version: number;
  index: number;
  columns: readonly Column[];
  /** The column of the cell that the keyboard is at, if it is in this row. */
  active: number | undefined;
  opened: boolean;
  onPress(cell: Cell, again: boolean): void;
  onEdit(cell: Cell): void;
  onShow(row: number): void;
}

const Row = memo(function Row({ table, index, columns, active, opened, onPress, onEdit, onShow }: RowProps) {
  const record = table.row(index);
  return (
    <div role="row" aria-rowindex={index + 2} data-testid="row" data-id={record?.id} data-opened={opened || undefined} className="data-row group flex border-b border-line text-sm">
      <div role="rowheader" className="data-gutter">
        <button type="button" tabIndex={-1} disabled={!record} aria-label={`Open row ${index + 1}`} onClick={() => onShow(index)} className="h-full w-full px-2 text-right text-muted tabular-nums hover:bg-hover hover:text-ink">
          {(index + 1).toLocaleString('en')}
        </button>
      </div>
      {columns.map((column, at) => {
        const isActive = active === at;
        const value = record?.[column.name];
        const id = record?.id ?? '';
        return (
          <div
            key={column.name}
            id={cellId({ row: index, column: at })}
            role="gridcell"
            aria-colindex={at + 2}
            aria-selected={isActive}
            data-field={column.name}
            data-glow={(record && table.glows(id, column.name)) || undefined}
            data-saving={table.isSaving(id, column.name) || undefined}
            data-wrong={(table.trouble?.id === id && table.trouble.field === column.name) || undefined}
            title={titleOf(value)}
            onClick={() => onPress({ row: index, column: at }, isActive)}
            onDoubleClick={() => onEdit({ row: index, column: at })}
            style={{ width: column.width }}
            className={`data-cell ${column.kind === 'number' ? 'text-right tabular-nums' : ''} ${column.name === 'id' || kindOf(value) === 'json' ? 'font-mono text-muted' : ''}`}
          >
            {record ? <Value value={value} /> : <span className="data-waiting" />}
          </div>
        );
      })}
    </div>
  );
});

function Value({ value }: { value: unknown }) {
  if (value === undefined) return null;
  if (value === null) return <span className="text-muted italic">null</span>;
  return cellText(value);
}

/** What does not fit is read by staying on it. */
function titleOf(value: unknown): string | undefined {
  const text = cellText(value);
  return text.length > 12 ? text : undefined;
}
