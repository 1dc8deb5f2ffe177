//! The collections, beside the table or, where none is chosen, in its place.

import { Busy, IconButton, TextButton } from '../shell/controls';
import { SearchIcon } from '../shell/icons';
import { Mark, Places, ThemeButton } from '../shell/places';
import { addressOf } from './address';
import type { Collections, Listed } from './live';

interface ListProps {
  collections: Collections;
  current: string | undefined;
  /** Called when one was chosen, so that a sheet can close. */
  onChosen(): void;
}

/** The left column. */
export function DataSidebar({ onFind, ...props }: ListProps & { onFind(): void }) {
  return (
    <nav aria-label="Collections" className="flex h-full min-h-0 flex-col bg-side">
      <div className="flex h-14 shrink-0 items-center gap-2 pr-3 pl-4">
        <Mark />
        <span className="flex-1 font-semibold">Tidewire</span>
        <IconButton label="Find collections and actions (Ctrl K)" onClick={onFind}><SearchIcon /></IconButton>
        <ThemeButton />
      </div>
      <div className="min-h-0 flex-1 overflow-y-auto px-3 pb-4">
        <h2 className="px-3 pt-1 pb-1 text-sm text-muted">Collections</h2>
        <CollectionList {...props} />
      </div>
      <Places current="data" />
    </nav>
  );
}

/** The list itself, with what is said while there is none. */
export function CollectionList({ collections: { list, trouble, refresh }, current, onChosen }: ListProps) {
  if (!list && trouble !== undefined) {
    return <p className="flex items-center justify-between gap-2 px-3 py-2 text-sm text-muted">The collections cannot be read <TextButton onClick={refresh}>Try again</TextButton></p>;
  }
  if (!list) return <p role="status" className="flex items-center gap-2 px-3 py-2 text-sm text-muted"><Busy /> Reading…</p>;
  if (list.length === 0) {
    return <p className="px-3 py-2 text-sm text-muted">There are no collections yet. <code className="text-ink">tidewire import orders.csv --collection orders</code> makes one from a file</p>;
  }
  return <ul data-testid="collections">{list.map((each) => <CollectionLink key={each.name} each={each} current={each.name === current} onChosen={onChosen} />)}</ul>;
}

function CollectionLink({ each, current, onChosen }: { each: Listed; current: boolean; onChosen(): void }) {
  return (
    <li>
      <a
        href={addressOf({ collection: each.name })}
        aria-current={current ? 'page' : undefined}
        onClick={onChosen}
        className="flex min-h-9 items-center gap-2 rounded-lg px-3 py-1 text-sm text-ink hover:bg-hover aria-[current=page]:bg-hover aria-[current=page]:font-medium"
      >
        <span className="flex-1 truncate font-mono" title={each.name}>{each.name}</span>
        {each.count !== undefined && <span className="text-muted tabular-nums">{each.count.toLocaleString('en')}</span>}
      </a>
    </li>
  );
}
