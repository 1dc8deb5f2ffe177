//! What can be done with the open chat.

import { DropdownMenu } from 'radix-ui';
import { ChatItems, MenuBox, MenuItem, type ChatWish } from '../chats/ChatMenu';
import type { Conversation } from '../conversation/model';
import { toMarkdown } from '../conversation/transcript';
import { currentKey, signOut } from '../server/access';
import type { ChatSummary } from '../server/resources';
import { IconButton } from './controls';
import { MoreIcon } from './icons';
import { copyText } from './clipboard';
import { say } from './notices';

interface HeaderMenuProps {
  chat: ChatSummary;
  conversation: Conversation;
  onWish(wish: ChatWish, chat: ChatSummary): void;
  onKeys(): void;
}

/** The menu in the header. */
export function HeaderMenu({ chat, conversation, onWish, onKeys }: HeaderMenuProps) {
  const isEmpty = conversation.runs.length === 0;
  const copy = (text: string, done: string) =>
    void copyText(text).then((copied) => (copied ? say(done) : say('The browser does not allow copying here', 'bad')));
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>
        <IconButton label="More"><MoreIcon /></IconButton>
      </DropdownMenu.Trigger>
      <MenuBox>
        <MenuItem onSelect={() => copy(location.href, 'The link is copied')}>Copy the link</MenuItem>
        <MenuItem disabled={isEmpty} onSelect={() => copy(toMarkdown(conversation), 'The chat is copied')}>Copy as Markdown</MenuItem>
        <ChatItems chat={chat} isEmpty={isEmpty} onWish={onWish} />
        <MenuItem onSelect={onKeys}>Keyboard shortcuts</MenuItem>
        {currentKey() !== null && <MenuItem onSelect={signOut}>Sign out</MenuItem>}
      </MenuBox>
    </DropdownMenu.Root>
  );
}
