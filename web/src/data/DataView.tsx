//! The data: collections on the left, the chosen one as a live table, a record at its side.

import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore, type ReactNode } from 'react';
import { ConnectionDot } from '../connection/ConnectionBanner';
import type { Words } from '../connection/words';
import { currentKey, signOut } from '../server/access';
import { IconButton, TextButton } from '../shell/controls';
import type { Entry } from '../shell/finding';
import { useHandler, useKeys, useMedia, useNow, isWriting } from '../shell/hooks';
import { CloseIcon, MenuIcon, PlusIcon } from '../shell/icons';
import { KeysHelp, TABLE_KEYS } from '../shell/KeysHelp';
import { Palette } from '../shell/Palette';
import { homeOf } from '../shell/places';
import { Sheet } from '../shell/Sheet';
import { toggleTheme } from '../shell/theme';
import { goTo, placeOf, useHash, type DataPlace } from './address';
import { CollectionList, DataSidebar } from './DataSidebar';
import { FilterBar } from './FilterBar';
import { readFilter } from './filter';
import { Grid } from './Grid';
import { leaveLive, pageLive, pageSource, useCollections, type Collections } from './live';
import { RecordPane, type Opened } from './RecordPane';
import { Table, type TableQuery } from './table';
import { describeLive } from './words';

/** Everything about data. */
export default function DataView() {
  const place = placeOf(useHash());
  useEffect(() => leaveLive, []);
  const hasSidebar = useMedia('(min-width: 768px)');
  const collections = useCollections();
  const [listOpen, setListOpen] = useState(false);
  const name = place.collection;
  useEffect(() => {
    document.title = `${name ?? 'Data'} · Tidewire`;
  }, [name]);
  const [finding, setFinding] = useState(false);
  const [helping, setHelping] = useState(false);
  useKeys((event) => {
    const command = event.ctrlKey || event.metaKey;
    if (command && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      setFinding((open) => !open);
    } else if (event.key === '?' && !command && !finding && !isWriting(event)) {
      event.preventDefault();
      setHelping(true);
    }
  });
  const entries = useMemo(() => (finding ? entriesOf(collections, () => setHelping(true)) : []), [finding]);
  const find = () => (setListOpen(false), setFinding(true));
  const sidebar = <DataSidebar collections={collections} current={name} onFind={find} onChosen={() => setListOpen(false)} />;
  const menu = hasSidebar ? null : <IconButton label="Collections" onClick={() => setListOpen(true)}><MenuIcon /></IconButton>;
  return (
    <div className="flex h-full" data-testid="data">
      {hasSidebar ? (
        <div className="w-60 shrink-0 border-r border-line">{sidebar}</div>
      ) : (
        <Sheet side="left" title="Collections" open={listOpen} onOpenChange={setListOpen}>{sidebar}</Sheet>
      )}
      {name === undefined ? <Choice menu={menu} collections={collections} /> : <OpenTable key={name} place={place} name={name} menu={menu} collections={collections} />}
      <Palette open={finding} onOpenChange={setFinding} entries={entries} things="collections, actions" />
      <KeysHelp open={helping} onOpenChange={setHelping} keys={TABLE_KEYS} />
    </div>
  );
}

/** What Ctrl/⌘ K finds here. */
function entriesOf({ list = [], refresh }: Collections, showKeys: () => void): readonly Entry[] {
  const action = (title: string, run: () => void): Entry => ({ id: `action ${title}`, kind: 'Action', title, run });
  return [
    ...list.map(({ name, count }): Entry => ({ id: `collection ${name}`, kind: 'Collection', title: name, ...(count === undefined ? {} : { detail: rowsInWords(count) }), run: () => goTo({ collection: name, filter: '' }) })),
    action('Write a filter', () => setTimeout(() => document.querySelector<HTMLElement>('[data-testid=filter]')?.focus())),
    action('Read the list of collections again', refresh),
    action('Go to the chats', () => (location.hash = homeOf('chats'))),
    action('Change between light and dark', toggleTheme),
    action('Show the keyboard shortcuts', () => setTimeout(showKeys)),
    ...(currentKey() === null ? [] : [action('Sign out', signOut)]),
  ];
}

function rowsInWords(count: number): string {
  return `${count.toLocaleString('en')} ${count === 1 ? 'row' : 'rows'}`;
}

/** No collection is chosen: beside the list a hint, without it the list. */
function Choice({ menu, collections }: { menu: ReactNode; collections: Collections }) {
  return (
    <main aria-label="Data" className="flex min-w-0 flex-1 flex-col">
      <header className="flex h-14 shrink-0 items-center gap-2 border-b border-line px-4 max-sm:px-2">{menu}<h1 className="font-medium">Data</h1></header>
      {menu === null ? (
        <p className="m-auto max-w-72 p-6 text-center text-sm text-muted">Choose a collection. Tables are live: what others change shows here at once</p>
      ) : (
        <div className="flex-1 overflow-y-auto p-2"><CollectionList collections={collections} current={undefined} onChosen={() => undefined} /></div>
      )}
    </main>
  );
}

interface OpenTableProps {
  place: DataPlace;
  name: string;
  menu: ReactNode;
  collections: Collections;
}

function OpenTable({ place, name, menu, collections }: OpenTableProps) {
  const hasPane = useMedia('(min-width: 1080px)');
  const { table, trouble } = useTable(name, place);
  useSyncExternalStore(table.subscribe, table.version);
  const words = useLiveWords(table);
  useCounting(table, collections);
  const [opened, setOpened] = useState<Opened>();
  const field = useRef<HTMLInputElement>(null);
  useKeys((event) => {
    if (event.key !== '/' || event.ctrlKey || event.metaKey || isWriting(event)) return;
    event.preventDefault();
    field.current?.focus();
  });
  const close = useHandler(() => {
    setOpened(undefined);
    document.querySelector<HTMLElement>('[role=grid]')?.focus();
  });
  const pane = opened && <RecordPane key={opened.id ?? ''} table={table} opened={opened} onOpen={setOpened} onClose={close} />;
  return (
    <>
      <main aria-label="Data" className="flex min-w-0 flex-1 flex-col">
        <header className="flex h-14 shrink-0 items-center gap-3 border-b border-line px-4 max-sm:gap-1 max-sm:px-2">
          {menu}
          <h1 className="truncate font-mono font-medium">{name}</h1>
          <Count table={table} />
          <span className="flex-1" />
          <span data-testid="live" data-short={words.short}><ConnectionDot words={words} /></span>
          <TextButton data-testid="add-row" onClick={() => setOpened({})}><PlusIcon /><span className="max-sm:sr-only">Add row</span></TextButton>
        </header>
        <FilterBar key={place.filter} field={field} text={place.filter} trouble={trouble} fields={table.columns} onApply={(filter) => goTo({ ...place, filter })} />
        <LiveBanner words={words} onRetry={() => (table.blocked === undefined ? pageLive().retryNow() : table.retry())} />
        <TroubleBanner table={table} />
        <Grid table={table} sort={place.sort} onSort={(sort) => goTo(sort ? { ...place, sort } : { collection: name, filter: place.filter })} onOpen={setOpened} opened={opened?.id} />
      </main>
      {hasPane
        ? pane && <aside aria-label="Record" className="glide w-[26rem] shrink-0 border-l border-line [--from:16px]">{pane}</aside>
        : <Sheet side="right" title="Record" open={opened !== undefined} onOpenChange={(open) => !open && close()}>{pane}</Sheet>}
    </>
  );
}

/** The table of a place. While a filter cannot be read, the last one that could stays in force. */
function useTable(collection: string, { filter, sort }: DataPlace): { table: Table; trouble: string | undefined } {
  const read = useMemo(() => readFilter(filter), [filter]);
  const last = useRef<Pick<TableQuery, 'filter' | 'filtered'>>({ filter: undefined, filtered: [] });
  if (!('trouble' in read)) last.current = { filter: read.filter, filtered: read.fields };
  const key = JSON.stringify([collection, last.current, sort]);
  const table = useMemo(() => new Table(pageSource(), { collection, ...last.current, sort }), [key]);
  useEffect(() => {
    table.open();
    return () => table.close();
  }, [table]);
  return { table, trouble: 'trouble' in read ? read.trouble : undefined };
}

/** Keeps the list's figure in step, and the list itself where a collection has just come to be. */
function useCounting(table: Table, { list, counted, refresh }: Collections): void {
  const { collection, filter } = table.query;
  const { count, exact } = table.total;
  const known = table.isRead && exact && !filter ? count : undefined;
  const isNew = (known ?? 0) > 0 && list !== undefined && !list.some((each) => each.name === collection);
  useEffect(() => {
    if (known !== undefined) counted(collection, known);
  }, [collection, known, counted]);
  useEffect(() => {
    if (isNew) refresh();
  }, [isNew, refresh]);
}

function useLiveWords({ live, blocked, isRead }: Table): Words {
  const subscribe = useCallback((listener: () => void) => pageLive().onStatus(listener), []);
  const status = useSyncExternalStore(subscribe, () => pageLive().status);
  const now = useNow(status.state === 'waiting');
  return useMemo(() => describeLive(status, { live, blocked, isRead }, now), [status, live, blocked, isRead, now]);
}

function Count({ table }: { table: Table }) {
  const { count, exact } = table.total;
  if (!table.isRead) return null;
  const known = exact ? count : Math.max(0, count - 100);
  return <span data-testid="count" className="shrink-0 text-sm text-muted tabular-nums">{exact ? rowsInWords(known) : `${known.toLocaleString('en')}+ rows`}</span>;
}

function LiveBanner({ words, onRetry }: { words: Words; onRetry(): void }) {
  return (
    <>
      <span role="status" className="sr-only">{words.short}</span>
      {words.sentence !== undefined && (
        <Banner tone={words.tone === 'bad' ? 'bad' : 'busy'}>
          <span className="flex-1 tabular-nums">{words.sentence}</span>
          <TextButton data-testid="try-now" onClick={onRetry}>Try now</TextButton>
        </Banner>
      )}
    </>
  );
}

function TroubleBanner({ table }: { table: Table }) {
  const { trouble } = table;
  if (!trouble) return null;
  return (
    <Banner tone="bad" role="alert">
      <span className="flex-1" data-testid="trouble">{trouble.field !== undefined && <span className="font-mono">{trouble.field}: </span>}{trouble.sentence}</span>
      <IconButton label="Dismiss" onClick={() => table.dismiss()}><CloseIcon /></IconButton>
    </Banner>
  );
}

function Banner({ tone, role, children }: { tone: 'bad' | 'busy'; role?: 'alert'; children: ReactNode }) {
  return <div role={role} className={`appear flex shrink-0 items-center gap-3 border-b border-line px-4 py-1 text-sm ${tone === 'bad' ? 'bg-bad-tint text-bad' : 'bg-busy-tint text-busy'}`}>{children}</div>;
}
