//! One record with all its members as JSON: read, changed, deleted; or a new one.

import { useEffect, useRef, useState, type KeyboardEvent } from 'react';
import { CopyButton } from '../shell/CopyButton';
import { IconButton, TextButton } from '../shell/controls';
import { CloseIcon } from '../shell/icons';
import type { Column } from './columns';
import { changedFields, type Table } from './table';
import type { DataRecord } from '@tidewire/client/live-data';

/** What is open at the side: a record, or without an id a new one. */
export interface Opened {
  readonly id?: string;
  /** Asks at once whether it shall be deleted. */
  readonly deleting?: boolean;
}

interface RecordPaneProps {
  table: Table;
  opened: Opened;
  onOpen(opened: Opened): void;
  onClose(): void;
}

/** The pane. Esc closes it, Ctrl/⌘ Enter saves. */
export function RecordPane({ table, opened, onOpen, onClose }: RecordPaneProps) {
  const { id } = opened;
  useEffect(() => {
    if (id !== undefined) void table.pin(id);
  }, [table, id]);
  const shown = useLast(id === undefined ? undefined : table.find(id));
  const isGone = id !== undefined && table.isGone(id);
  const [draft, setDraft] = useState(id === undefined ? templateOf(table.columns) : undefined);
  const [trouble, setTrouble] = useState<string>();
  const [busy, setBusy] = useState(false);
  const save = async () => {
    const read = readObject(draft ?? '');
    if (typeof read === 'string') return setTrouble(read);
    setTrouble(undefined);
    setBusy(true);
    const done = await (shown ? saveChanges(table, shown, read) : insertNew(table, read, onOpen));
    setBusy(false);
    if (done) setDraft(undefined);
    else setTrouble(table.trouble?.sentence);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Escape') {
      event.preventDefault();
      if (draft !== undefined && shown) setDraft(undefined);
      else onClose();
    } else if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && draft !== undefined) void save();
  };
  return (
    <section data-testid="record" aria-label="Record" onKeyDown={onKeyDown} className="flex h-full min-h-0 flex-col bg-page">
      <header className="flex h-14 shrink-0 items-center gap-1 border-b border-line pr-3 pl-4">
        <h2 className="min-w-0 flex-1 truncate text-sm font-medium">{id === undefined ? 'New row' : <span className="font-mono" title={id}>{id}</span>}</h2>
        {shown && <CopyButton label="Copy as JSON" text={JSON.stringify(shown, null, 2)} />}
        <IconButton label="Close the record" data-testid="close-record" onClick={onClose}><CloseIcon /></IconButton>
      </header>
      {isGone && <p role="status" className="border-b border-line bg-busy-tint px-4 py-2 text-sm text-busy">This record has been deleted; this is how it was</p>}
      {draft === undefined ? (
        <pre tabIndex={0} data-testid="record-json" className="min-h-0 flex-1 overflow-auto p-4 text-sm leading-5 break-words whitespace-pre-wrap">{JSON.stringify(shown, null, 2)}</pre>
      ) : (
        <textarea
          autoFocus
          data-testid="record-editor"
          aria-label="The record as JSON"
          aria-invalid={trouble !== undefined}
          spellCheck={false}
          value={draft}
          onChange={(event) => (setDraft(event.target.value), setTrouble(undefined))}
          className="min-h-0 flex-1 resize-none bg-page p-4 font-mono text-sm leading-5 outline-none"
        />
      )}
      {trouble !== undefined && <p role="alert" data-testid="record-trouble" className="border-t border-line bg-bad-tint px-4 py-2 text-sm text-bad">{trouble}</p>}
      <footer className="flex min-h-14 shrink-0 items-center gap-2 border-t border-line px-4 py-2">
        {draft === undefined
          ? shown && !isGone && <Reading deleting={opened.deleting ?? false} onEdit={() => setDraft(editable(shown))} onDelete={() => void table.remove(shown.id).then((done) => done && onClose())} />
          : <Writing busy={busy} isNew={id === undefined} onSave={() => void save()} onCancel={() => (shown ? setDraft(undefined) : onClose())} />}
      </footer>
    </section>
  );
}

/** The newest value that there was: a record that is gone stays to be read. */
function useLast<T>(value: T | undefined): T | undefined {
  const last = useRef(value);
  if (value !== undefined) last.current = value;
  return last.current;
}

function Reading({ deleting, onEdit, onDelete }: { deleting: boolean; onEdit(): void; onDelete(): void }) {
  const [asking, setAsking] = useState(deleting);
  useEffect(() => setAsking(deleting), [deleting]);
  if (!asking) {
    return <><TextButton data-testid="edit-record" onClick={onEdit}>Edit</TextButton><span className="flex-1" /><TextButton data-testid="delete-record" onClick={() => setAsking(true)}>Delete</TextButton></>;
  }
  return (
    <>
      <span className="flex-1 text-sm">Delete this record?</span>
      <TextButton onClick={() => setAsking(false)}>Keep</TextButton>
      <TextButton autoFocus data-testid="confirm-delete" onClick={onDelete} className="border-bad text-bad">Delete</TextButton>
    </>
  );
}

function Writing({ busy, isNew, onSave, onCancel }: { busy: boolean; isNew: boolean; onSave(): void; onCancel(): void }) {
  return (
    <>
      <button type="button" data-testid="save-record" disabled={busy} onClick={onSave} className="h-8 rounded-lg bg-accent px-3 text-sm font-medium text-on-accent hover:opacity-90 disabled:opacity-50">{isNew ? 'Add' : 'Save'}</button>
      <TextButton onClick={onCancel}>Cancel</TextButton>
      <span className="ml-auto text-sm text-muted pointer-coarse:hidden"><kbd>Ctrl ↵</kbd> saves</span>
    </>
  );
}

async function saveChanges(table: Table, before: DataRecord, after: Readonly<Record<string, unknown>>): Promise<boolean> {
  const fields = changedFields(before, { ...after, id: before.id });
  // A change of a record is merged into it, so what was taken out becomes null.
  return fields.length === 0 || table.edit(before.id, Object.fromEntries(fields.map((field) => [field, after[field] ?? null])));
}

async function insertNew(table: Table, record: Readonly<Record<string, unknown>>, onOpen: (opened: Opened) => void): Promise<boolean> {
  const id = await table.insert(record);
  if (id !== undefined) onOpen({ id });
  return id !== undefined;
}

/** The record without what cannot be changed. */
function editable({ id: _, ...members }: DataRecord): string {
  return JSON.stringify(members, null, 2);
}

const BLANK = { text: '', number: 0, boolean: false, date: null, json: null } as const;

/** A new record with the members that the others have. */
function templateOf(columns: readonly Column[]): string {
  const members = columns.filter((column) => column.name !== 'id' && column.name !== 'ttl').map((column) => [column.name, BLANK[column.kind]]);
  return JSON.stringify(Object.fromEntries(members), null, 2);
}

function readObject(text: string): Readonly<Record<string, unknown>> | string {
  try {
    const read: unknown = JSON.parse(text);
    return typeof read === 'object' && read !== null && !Array.isArray(read) ? (read as Record<string, unknown>) : 'Write one object in braces: {"name": "value"}';
  } catch (thrown) {
    return `This is not JSON: ${(thrown as Error).message}`;
  }
}
