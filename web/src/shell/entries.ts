//! What Ctrl/⌘ K finds: actions, chats, tables.

import { useMemo } from 'react';
import type { CanvasState } from '../canvas/state';
import { openChat, startChat } from '../chats/session';
import { goTo } from '../data/address';
import { currentKey, signOut } from '../server/access';
import type { Catalog, ChatSummary } from '../server/resources';
import type { Entry } from './finding';
import { toggleTheme } from './theme';

/** What the entries are made from. */
export interface EntryParts {
  readonly chats: readonly ChatSummary[];
  readonly catalog: Catalog | undefined;
  /** Ends the running answer; undefined if none runs. */
  readonly stop: (() => void) | undefined;
  changeCanvas(change: Partial<CanvasState>): void;
  askTable(table: string): void;
  focus(): void;
  showKeys(): void;
}

/** The entries, made when the palette opens; a list that changes under the hand misleads. */
export function useEntries(open: boolean, parts: EntryParts): readonly Entry[] {
  return useMemo(() => (open ? [...actions(parts), ...chats(parts), ...tables(parts)] : []), [open]);
}

function actions({ stop, changeCanvas, focus, showKeys }: EntryParts): Entry[] {
  const action = (title: string, run: () => void): Entry => ({ id: `action ${title}`, kind: 'Action', title, run });
  return [
    ...(stop ? [action('Stop the answer', stop)] : []),
    action('New chat', startChat),
    action('Show the diagram', () => changeCanvas({ open: true, tab: 'diagram' })),
    action('Show the tables', () => changeCanvas({ open: true, tab: 'tables' })),
    action('Show the sources', () => changeCanvas({ open: true, tab: 'sources' })),
    action('Go to the data', () => goTo({})),
    action('Change between light and dark', toggleTheme),
    // After the dialog has given the focus back to where it came from.
    action('Write a question', () => setTimeout(focus)),
    action('Show the keyboard shortcuts', () => setTimeout(showKeys)),
    ...(currentKey() === null ? [] : [action('Sign out', signOut)]),
  ];
}

function chats(parts: EntryParts): Entry[] {
  return parts.chats.map((chat) => ({
    id: `chat ${chat.session_id}`,
    kind: 'Chat',
    title: chat.title || 'New chat',
    run: () => openChat(chat.session_id),
  }));
}

function tables({ catalog, askTable }: EntryParts): Entry[] {
  return (catalog?.tables ?? []).map((table) => ({
    id: `table ${table.full_name}`,
    kind: 'Table',
    title: table.name,
    detail: table.description,
    run: () => askTable(table.name),
  }));
}
