//! The person's chats, and where the server stands.

import { DropdownMenu } from 'radix-ui';
import { memo } from 'react';
import { ConnectionDot } from '../connection/ConnectionBanner';
import type { Words } from '../connection/words';
import type { ChatSummary, Health } from '../server/resources';
import { Busy, IconButton } from '../shell/controls';
import { MoreIcon, PlusIcon, SearchIcon } from '../shell/icons';
import { Mark, Places, ThemeButton } from '../shell/places';
import { ChatItems, MenuBox, type ChatWish } from './ChatMenu';
import { ChatTitle } from './ChatTitle';
import { groupChats } from './groups';
import { addressOf } from './session';

interface SidebarProps {
  chats: readonly ChatSummary[];
  current: string;
  failed: boolean;
  health: Health | undefined;
  words: Words;
  onNew(): void;
  onFind(): void;
  /** Called when a chat was chosen, so that a sheet can close. */
  onChosen(): void;
  onWish(wish: ChatWish, chat: ChatSummary): void;
}

/** The left column. */
export const Sidebar = memo(function Sidebar({ chats, current, failed, health, words, onNew, onFind, onChosen, onWish }: SidebarProps) {
  return (
    <nav aria-label="Chats" className="flex h-full min-h-0 flex-col bg-side">
      <div className="flex h-14 shrink-0 items-center gap-2 pr-3 pl-4">
        <Mark />
        <span className="flex-1 font-semibold">Tidewire</span>
        <IconButton label="Find chats, tables and actions (Ctrl K)" onClick={onFind}><SearchIcon /></IconButton>
      </div>
      <div className="px-3 pb-2">
        <button type="button" data-testid="new-chat" onClick={onNew} className="flex h-9 w-full items-center gap-2 rounded-lg border border-line bg-page px-3 text-sm font-medium hover:border-edge hover:bg-hover">
          <PlusIcon /> New chat
        </button>
      </div>
      <div className="min-h-0 flex-1 overflow-y-auto px-3 pb-4" data-testid="chats">
        {groupChats(chats, new Date()).map((group) => (
          <section key={group.name} aria-label={group.name}>
            <h2 className="px-3 pt-3 pb-1 text-sm text-muted">{group.name}</h2>
            <ul>
              {group.chats.map((chat) => <ChatLink key={chat.session_id} chat={chat} current={chat.session_id === current} onChosen={onChosen} onWish={onWish} />)}
            </ul>
          </section>
        ))}
        {failed && chats.length <= 1 && <p className="px-3 pt-3 text-sm text-muted">The list of chats cannot be read at the moment</p>}
      </div>
      <Places current="chats" />
      <div className="flex h-14 shrink-0 items-center gap-2 border-t border-line pr-3 pl-4">
        <div className="min-w-0 flex-1">
          <ConnectionDot words={words} />
          {health && <p className="truncate text-sm text-muted" title={`Tidewire ${health.version}, model ${health.model}`}>{health.model}</p>}
        </div>
        <ThemeButton />
      </div>
    </nav>
  );
});

function ChatLink({ chat, current, onChosen, onWish }: { chat: ChatSummary; current: boolean } & Pick<SidebarProps, 'onChosen' | 'onWish'>) {
  const title = chat.title || 'New chat';
  return (
    <li className="group/chat relative">
      <a
        href={addressOf(chat.session_id)}
        aria-current={current ? 'page' : undefined}
        onClick={onChosen}
        title={title}
        className="flex min-h-9 items-center gap-2 rounded-lg py-1 pr-9 pl-3 text-sm text-ink group-hover/chat:bg-hover aria-[current=page]:bg-hover aria-[current=page]:font-medium"
      >
        <span className="min-w-0 flex-1"><ChatTitle title={title} /></span>
        {chat.running && <span title="An answer is being written"><Busy /><span className="sr-only">, an answer is being written</span></span>}
      </a>
      {chat.chat_id !== '' && (
        <DropdownMenu.Root modal={false}>
          <DropdownMenu.Trigger asChild>
            <IconButton
              label={`Actions for ${title}`}
              title="Rename, branch, save, delete"
              data-testid="chat-actions"
              className="absolute top-1/2 right-1 size-7! -translate-y-1/2 opacity-0 group-focus-within/chat:opacity-100 group-hover/chat:opacity-100 data-[state=open]:opacity-100 pointer-coarse:opacity-100"
            >
              <MoreIcon />
            </IconButton>
          </DropdownMenu.Trigger>
          <MenuBox align="start"><ChatItems chat={chat} isEmpty={false} onWish={onWish} /></MenuBox>
        </DropdownMenu.Root>
      )}
    </li>
  );
}
