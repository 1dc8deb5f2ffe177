//! What can be done with a chat: in the header for the open one, in the list for each.

import { DropdownMenu } from 'radix-ui';
import type { ReactNode } from 'react';
import type { ChatSummary } from '../server/resources';

/** What a chat's menu can ask for. */
export type ChatWish = 'rename' | 'branch' | 'markdown' | 'json' | 'delete';

interface ChatItemsProps {
  chat: ChatSummary;
  /** Nothing was said in it yet. */
  isEmpty: boolean;
  onWish(wish: ChatWish, chat: ChatSummary): void;
}

/** The entries that every chat has. */
export function ChatItems({ chat, isEmpty, onWish }: ChatItemsProps) {
  // A chat that the server has not heard of has nothing that could be changed there.
  const unknown = chat.chat_id === '' || isEmpty;
  return (
    <>
      <MenuItem disabled={unknown} onSelect={() => onWish('rename', chat)}>Rename…</MenuItem>
      <MenuItem disabled={unknown} onSelect={() => onWish('branch', chat)}>Branch</MenuItem>
      <MenuItem disabled={isEmpty} onSelect={() => onWish('markdown', chat)}>Save as Markdown</MenuItem>
      <MenuItem disabled={isEmpty} onSelect={() => onWish('json', chat)}>Save as JSON</MenuItem>
      <DropdownMenu.Separator className="my-1 h-px bg-line" />
      <MenuItem disabled={unknown} danger onSelect={() => onWish('delete', chat)}>Delete…</MenuItem>
    </>
  );
}

/** The box of a menu. */
export function MenuBox({ children, align = 'end' }: { children: ReactNode; align?: 'start' | 'end' }) {
  return (
    <DropdownMenu.Portal>
      <DropdownMenu.Content align={align} sideOffset={4} collisionPadding={8} className="appear z-40 min-w-48 rounded-lg border border-edge bg-page p-1 text-sm">
        {children}
      </DropdownMenu.Content>
    </DropdownMenu.Portal>
  );
}

interface MenuItemProps {
  disabled?: boolean;
  /** It takes something away. */
  danger?: boolean;
  onSelect(): void;
  children: string;
}

/** One entry. */
export function MenuItem({ disabled = false, danger = false, onSelect, children }: MenuItemProps) {
  return (
    <DropdownMenu.Item
      disabled={disabled}
      onSelect={onSelect}
      className={`flex h-8 items-center rounded px-3 outline-none select-none pointer-coarse:h-10 data-disabled:opacity-50 data-highlighted:bg-hover ${danger ? 'text-bad' : ''}`}
    >
      {children}
    </DropdownMenu.Item>
  );
}
