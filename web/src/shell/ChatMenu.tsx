//! What can be done with a whole conversation.

import { DropdownMenu } from 'radix-ui';
import type { Conversation } from '../conversation/model';
import { fileName, saveFile, toMarkdown } from '../conversation/transcript';
import { currentKey, signOut } from '../server/access';
import { IconButton } from './controls';
import { MoreIcon } from './icons';

/** The menu in the header. */
export function ChatMenu({ title, conversation }: { title: string; conversation: Conversation }) {
  const isEmpty = conversation.runs.length === 0;
  return (
    <DropdownMenu.Root>
      <DropdownMenu.Trigger asChild>
        <IconButton label="More"><MoreIcon /></IconButton>
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content align="end" sideOffset={4} className="appear z-30 min-w-48 rounded-lg border border-edge bg-page p-1 text-sm">
          <Item onSelect={() => void navigator.clipboard.writeText(location.href)}>Copy the link</Item>
          <Item disabled={isEmpty} onSelect={() => void navigator.clipboard.writeText(toMarkdown(conversation))}>Copy as Markdown</Item>
          <Item disabled={isEmpty} onSelect={() => saveFile(fileName(title, 'md'), 'text/markdown', toMarkdown(conversation))}>Save as Markdown</Item>
          {currentKey() !== null && <Item onSelect={signOut}>Sign out</Item>}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

function Item({ disabled = false, onSelect, children }: { disabled?: boolean; onSelect(): void; children: string }) {
  return (
    <DropdownMenu.Item
      disabled={disabled}
      onSelect={onSelect}
      className="flex h-8 items-center rounded px-3 outline-none select-none data-disabled:opacity-50 data-highlighted:bg-hover"
    >
      {children}
    </DropdownMenu.Item>
  );
}
