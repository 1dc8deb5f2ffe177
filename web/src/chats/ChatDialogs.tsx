//! The two questions about a chat that need an answer first: its new title, and whether it may go.

import { Dialog } from 'radix-ui';
import { useState, type FormEvent, type ReactNode } from 'react';
import type { ChatSummary } from '../server/resources';
import { TextButton } from '../shell/controls';
import { useFocusBack } from '../shell/focus';

/** Which question is open, and about which chat. */
export interface ChatQuestion {
  readonly kind: 'rename' | 'delete';
  readonly chat: ChatSummary;
}

interface ChatDialogsProps {
  question: ChatQuestion | undefined;
  onClose(): void;
  /** Does it; what it throws is shown. */
  onRename(chat: ChatSummary, title: string): Promise<void>;
  onDelete(chat: ChatSummary): Promise<void>;
}

/** The open question, if one is. */
export function ChatDialogs({ question, onClose, onRename, onDelete }: ChatDialogsProps) {
  return (
    <Dialog.Root open={question !== undefined} onOpenChange={(open) => open || onClose()}>
      <Dialog.Portal>
        <Dialog.Overlay className="appear fixed inset-0 z-40 bg-veil" />
        <Content question={question} onClose={onClose} onRename={onRename} onDelete={onDelete} />
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Content({ question, onClose, onRename, onDelete }: ChatDialogsProps) {
  const focusBack = useFocusBack();
  return (
    <Dialog.Content
      role={question?.kind === 'delete' ? 'alertdialog' : 'dialog'}
      data-testid="chat-dialog"
      onCloseAutoFocus={focusBack}
      className="appear fixed top-[18vh] left-1/2 z-50 w-[min(26rem,calc(100vw-2rem))] -translate-x-1/2 rounded-xl border border-edge bg-page p-4"
    >
      {question?.kind === 'rename' && <Rename chat={question.chat} onClose={onClose} onRename={onRename} />}
      {question?.kind === 'delete' && <Delete chat={question.chat} onClose={onClose} onDelete={onDelete} />}
    </Dialog.Content>
  );
}

/** The longest title that the server takes, in characters that need one byte. */
const TITLE_MAX = 200;

function Rename({ chat, onClose, onRename }: Pick<ChatDialogsProps, 'onClose' | 'onRename'> & { chat: ChatSummary }) {
  const [title, setTitle] = useState(chat.title);
  const doing = useDoing(onClose);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (title.trim() !== '') doing.run(() => onRename(chat, title.trim()));
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-3">
      <Dialog.Title className="font-medium">Rename the chat</Dialog.Title>
      <Dialog.Description className="sr-only">Write its new title</Dialog.Description>
      <input
        // The dialog focuses its first field. With `autoFocus` it would not know of it, and the menu would take the focus back.
        aria-label="Title"
        maxLength={TITLE_MAX}
        value={title}
        onChange={(event) => setTitle(event.target.value)}
        onFocus={(event) => event.target.select()}
        className="h-10 rounded-lg border border-edge bg-page px-3 outline-none focus:border-accent"
      />
      <Actions doing={doing} onClose={onClose}>
        <button type="submit" disabled={doing.busy || title.trim() === ''} className="h-9 rounded-lg bg-accent px-4 text-sm font-medium text-on-accent hover:opacity-90 disabled:bg-tint disabled:text-muted">Rename</button>
      </Actions>
    </form>
  );
}

function Delete({ chat, onClose, onDelete }: Pick<ChatDialogsProps, 'onClose' | 'onDelete'> & { chat: ChatSummary }) {
  const doing = useDoing(onClose);
  return (
    <div className="flex flex-col gap-3">
      <Dialog.Title className="font-medium break-words">Delete “{chat.title || 'New chat'}”?</Dialog.Title>
      <Dialog.Description className="text-sm text-muted">
        Its questions and answers are removed from the server, for every tab and everybody who follows it. This cannot be undone
      </Dialog.Description>
      <Actions doing={doing} onClose={onClose}>
        <button
          type="button"
          data-testid="delete-chat"
          disabled={doing.busy}
          onClick={() => doing.run(() => onDelete(chat))}
          className="h-9 rounded-lg bg-bad px-4 text-sm font-medium text-page hover:opacity-90 disabled:bg-tint disabled:text-muted"
        >
          Delete
        </button>
      </Actions>
    </div>
  );
}

interface Doing {
  readonly busy: boolean;
  readonly trouble: string | undefined;
  run(work: () => Promise<void>): void;
}

/** Work that closes the question when it is done, and shows why where it could not be. */
function useDoing(onDone: () => void): Doing {
  const [state, setState] = useState<Pick<Doing, 'busy' | 'trouble'>>({ busy: false, trouble: undefined });
  const run = (work: () => Promise<void>) => {
    setState({ busy: true, trouble: undefined });
    work().then(onDone, (error: Error) => setState({ busy: false, trouble: error.message }));
  };
  return { ...state, run };
}

function Actions({ doing, onClose, children }: { doing: Doing; onClose(): void; children: ReactNode }) {
  return (
    <>
      {doing.trouble !== undefined && <p role="alert" className="rounded-lg bg-bad-tint px-3 py-2 text-sm text-bad">{doing.trouble}</p>}
      <div className="flex justify-end gap-2">
        <TextButton className="h-9" onClick={onClose}>Cancel</TextButton>
        {children}
      </div>
    </>
  );
}
