//! A cell that is being edited: Enter keeps, Tab keeps and goes on, Esc takes back.

import { useEffect, useId, useRef, useState, type KeyboardEvent } from 'react';
import type { Column } from './columns';
import type { Table } from './table';
import { editText, kindOf, readText, sameValue, type Kind } from './values';

interface CellEditorProps {
  table: Table;
  id: string;
  column: Column;
  /** What was typed to begin with, in place of the value. */
  text: string | undefined;
  place: { left: number; top: number; width: number };
  onDone(move: 'stay' | 'next'): void;
}

/** The field over the cell. Leaving it keeps what was written. */
export function CellEditor({ table, id, column, text, place, onDone }: CellEditorProps) {
  const value = table.find(id)?.[column.name];
  // A text in a column of numbers stays a text that can be mended.
  const kind = kindOf(value) ?? column.kind;
  const choices = choicesOf(column, kind);
  // What is chosen from a list cannot be begun by typing.
  const [typed, setTyped] = useState(choices ? editText(value) : (text ?? editText(value)));
  const [trouble, setTrouble] = useState<string>();
  const over = useRef(false);
  const sentence = useId();
  useEffect(() => {
    table.hold(true);
    return () => table.hold(false);
  }, [table]);
  const keep = (move: 'stay' | 'next', written = typed) => {
    if (over.current) return;
    const read = written === editText(value) ? { value } : readText(written, kind);
    if ('trouble' in read) return setTrouble(read.trouble);
    over.current = true;
    if (!sameValue(read.value, value)) void table.edit(id, { [column.name]: read.value });
    onDone(move);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Enter') keep('stay');
    else if (event.key === 'Tab') keep('next');
    else if (event.key === 'Escape') {
      over.current = true;
      onDone('stay');
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const shared = {
    'data-testid': 'cell-editor',
    autoFocus: true,
    'aria-label': column.name,
    'aria-invalid': trouble !== undefined,
    'aria-describedby': trouble === undefined ? undefined : sentence,
    value: typed,
    onKeyDown,
    onBlur: () => keep('stay'),
    className: `h-full w-full border-2 bg-page px-2.5 text-sm text-ink outline-none ${kind === 'number' ? 'text-right' : ''} ${trouble === undefined ? 'border-accent' : 'border-bad'}`,
  };
  return (
    <div className="absolute z-[1] h-9" style={{ left: place.left, top: place.top, width: Math.max(place.width, 120) }}>
      {choices ? (
        <select {...shared} onChange={(event) => (setTyped(event.target.value), keep('stay', event.target.value))}>
          {choices.map((choice) => <option key={choice} value={choice}>{choice || '(none)'}</option>)}
        </select>
      ) : (
        <input
          {...shared}
          inputMode={kind === 'number' ? 'decimal' : undefined}
          spellCheck={false}
          onFocus={(event) => text === undefined && event.currentTarget.select()}
          onChange={(event) => (setTyped(event.target.value), setTrouble(undefined))}
        />
      )}
      {trouble !== undefined && <p id={sentence} role="alert" className="absolute top-full left-0 mt-1 w-max max-w-72 rounded-lg border border-line bg-bad-tint px-3 py-1 text-sm text-bad">{trouble}</p>}
    </div>
  );
}

/** What can be chosen where only few values are right. */
function choicesOf({ choices }: Column, kind: Kind): readonly string[] | undefined {
  if (kind === 'boolean') return ['', 'true', 'false'];
  return choices && ['', ...choices.map(editText)];
}
