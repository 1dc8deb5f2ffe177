//! The line in which rows are filtered: `status = open and total > 100`, applied with Enter.

import { useId, useState, type RefObject } from 'react';
import { IconButton } from '../shell/controls';
import { CloseIcon, SearchIcon } from '../shell/icons';
import type { Column } from './columns';
import { OPERATOR_HINT, readFilter } from './filter';

interface FilterBarProps {
  field: RefObject<HTMLInputElement | null>;
  /** The filter of the address. */
  text: string;
  /** Why the address's filter cannot be read. */
  trouble: string | undefined;
  fields: readonly Column[];
  onApply(text: string): void;
}

/** The bar. What is typed becomes the filter with Enter; Esc takes it back. */
export function FilterBar({ field, text, trouble, fields, onApply }: FilterBarProps) {
  const [typed, setTyped] = useState(text);
  const [tried, setTried] = useState<string>();
  const id = useId();
  const shown = tried ?? trouble;
  const apply = (next: string) => {
    const read = readFilter(next);
    setTried('trouble' in read ? read.trouble : undefined);
    if (!('trouble' in read) && next.trim() !== text) onApply(next.trim());
  };
  return (
    <form
      role="search"
      className="shrink-0 border-b border-line px-4 py-2 max-sm:px-2"
      onSubmit={(event) => {
        event.preventDefault();
        apply(typed);
      }}
    >
      <label className={`flex items-center gap-2 rounded-lg border bg-page pl-3 text-muted focus-within:border-accent ${shown === undefined ? 'border-line' : 'border-bad'}`}>
        <SearchIcon />
        <span className="sr-only">Filter rows</span>
        <input
          ref={field}
          data-testid="filter"
          value={typed}
          spellCheck={false}
          autoCapitalize="off"
          autoComplete="off"
          aria-invalid={shown !== undefined}
          aria-describedby={shown === undefined ? undefined : id}
          title={`Field, operator, value. Operators: ${OPERATOR_HINT}`}
          onChange={(event) => {
            setTyped(event.target.value);
            setTried(undefined);
          }}
          onKeyDown={(event) => {
            if (event.key !== 'Escape') return;
            event.preventDefault();
            setTyped(text);
            setTried(undefined);
            event.currentTarget.blur();
          }}
          placeholder={`Filter: ${example(fields)}`}
          className="h-9 min-w-0 flex-1 bg-transparent font-mono text-sm text-ink outline-none placeholder:font-sans placeholder:text-muted"
        />
        {typed !== '' && <IconButton label="Clear the filter" onClick={() => (setTyped(''), apply(''))}><CloseIcon /></IconButton>}
      </label>
      {shown !== undefined && <p id={id} role="alert" className="pt-1 text-sm text-bad">{shown}</p>}
    </form>
  );
}

/** An example that fits this table. */
function example(columns: readonly Column[]): string {
  const number = columns.find((column) => column.kind === 'number');
  const text = columns.find((column) => column.kind === 'text' && column.name !== 'id');
  const parts = [text && `${text.name} contains a`, number && `${number.name} > 10`].filter(Boolean);
  return parts.length > 0 ? parts.join(' and ') : 'field = value';
}
