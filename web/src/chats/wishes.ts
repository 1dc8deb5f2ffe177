//! What a chat's menu asked for, done.

import { useState } from 'react';
import type { ConversationStore } from '../conversation/store';
import type { ChatSummary } from '../server/resources';
import { useHandler } from '../shell/hooks';
import { say } from '../shell/notices';
import { branchFrom, deleteChat, renameChat, saveChat } from './actions';
import type { ChatQuestion } from './ChatDialogs';
import type { ChatWish } from './ChatMenu';
import { startChat } from './session';

/** The open question about a chat, and the ways to answer it. */
export interface ChatWishes {
  readonly question: ChatQuestion | undefined;
  close(): void;
  wish(wish: ChatWish, chat: ChatSummary): void;
  rename(chat: ChatSummary, title: string): Promise<void>;
  remove(chat: ChatSummary): Promise<void>;
}

/** Does what menus ask for; `refresh` reads the list of chats again. */
export function useChatWishes({ store, refresh }: { store: ConversationStore; refresh(): void }): ChatWishes {
  const [question, setQuestion] = useState<ChatQuestion>();
  const isOpen = (chat: ChatSummary) => chat.session_id === store.sessionId;
  const wish = useHandler((wanted: ChatWish, chat: ChatSummary) => {
    if (wanted === 'rename' || wanted === 'delete') return setQuestion({ kind: wanted, chat });
    const work = wanted === 'branch' ? branchFrom(chat).then(refresh) : saveChat(chat, wanted, isOpen(chat) ? store.getView().conversation : undefined);
    work.catch((error: Error) => say(error.message, 'bad'));
  });
  return {
    question,
    close: useHandler(() => setQuestion(undefined)),
    wish,
    rename: async (chat, title) => {
      await renameChat(chat, title);
      refresh();
    },
    remove: async (chat) => {
      await deleteChat(chat);
      if (isOpen(chat)) startChat();
      refresh();
      say('The chat was deleted');
    },
  };
}
