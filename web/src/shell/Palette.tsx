//! Ctrl/⌘ K: find a chat, a table or an action by typing.

import { Dialog } from 'radix-ui';
import { useEffect, useId, useMemo, useRef, useState, type KeyboardEvent } from 'react';
import { findEntries, type Entry } from './finding';
import { SearchIcon } from './icons';
import { OverPage } from './OverPage';

interface PaletteProps {
  open: boolean;
  onOpenChange(open: boolean): void;
  entries: readonly Entry[];
  /** What it can find. */
  things?: string;
}

/** The dialog. Its list is made anew each time it opens. */
export function Palette({ open, onOpenChange, entries, things = 'chats, tables, actions' }: PaletteProps) {
  return (
    <OverPage open={open} onOpenChange={onOpenChange} className="flex max-h-[70vh] w-[min(36rem,calc(100vw-2rem))] flex-col overflow-hidden">
      <Dialog.Title className="sr-only">Find {things}</Dialog.Title>
      <Finder entries={entries} things={things} onDone={() => onOpenChange(false)} />
    </OverPage>
  );
}

function Finder({ entries, things, onDone }: { entries: readonly Entry[]; things: string; onDone(): void }) {
  const [typed, setTyped] = useState('');
  const [at, setAt] = useState(0);
  const found = useMemo(() => findEntries(entries, typed), [entries, typed]);
  const list = useRef<HTMLUListElement>(null);
  const id = useId();
  useEffect(() => setAt(0), [typed]);
  useEffect(() => {
    // `scrollIntoView` gives a promise in new browsers, which an effect must not return.
    void list.current?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' });
  }, [at, found]);
  const choose = (entry: Entry | undefined) => {
    if (!entry) return;
    onDone();
    entry.run();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown') setAt(Math.min(at + 1, found.length - 1));
    else if (event.key === 'ArrowUp') setAt(Math.max(at - 1, 0));
    else if (event.key === 'Enter') choose(found[at]);
    else return;
    event.preventDefault();
  };
  return (
    <>
      <label className="flex items-center gap-3 border-b border-line px-4 text-muted">
        <SearchIcon />
        <span className="sr-only">Find</span>
        <input
          autoFocus
          role="combobox"
          aria-expanded="true"
          aria-controls={id}
          aria-activedescendant={found[at] ? `${id}-${at}` : undefined}
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
          onKeyDown={onKeyDown}
          placeholder={`Find ${things}…`}
          className="h-12 flex-1 bg-transparent text-base text-ink outline-none placeholder:text-muted"
        />
      </label>
      <ul ref={list} id={id} role="listbox" aria-label="Found" className="min-h-0 flex-1 overflow-y-auto p-2">
        {found.map((entry, index) => (
          <li
            key={entry.id}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === at}
            onMouseMove={() => setAt(index)}
            onClick={() => choose(entry)}
            className="flex h-9 cursor-pointer items-center gap-3 rounded-lg px-3 text-sm aria-selected:bg-hover"
          >
            <span className={`truncate ${entry.kind === 'Table' || entry.kind === 'Collection' ? 'font-mono' : ''}`}>{entry.title}</span>
            {entry.detail !== undefined && <span className="truncate text-muted">{entry.detail}</span>}
            <span className="ml-auto shrink-0 text-muted">{entry.kind}</span>
          </li>
        ))}
        {found.length === 0 && <li className="px-3 py-2 text-sm text-muted">Nothing matches “{typed}”</li>}
      </ul>
    </>
  );
}
