//! The middle column: what was said, and where the next question is written.

import { useMemo, type RefObject } from 'react';
import { startChat } from '../chats/session';
import { ConnectionBanner } from '../connection/ConnectionBanner';
import type { Words } from '../connection/words';
import type { Run } from '../conversation/model';
import type { ConversationStore, View } from '../conversation/store';
import type { CanvasState } from '../canvas/state';
import { branchFrom } from '../chats/actions';
import { say } from '../shell/notices';
import type { Catalog, Resource } from '../server/resources';
import { TextButton } from '../shell/controls';
import { focusQuietly, useHandler } from '../shell/hooks';
import { Announcer } from './Announcer';
import { Composer } from './Composer';
import { useDraft } from './draft';
import type { RunActions } from './RunView';
import { Thread } from './Thread';

interface ChatColumnProps {
  store: ConversationStore;
  view: View;
  words: Words;
  catalog: Resource<Catalog>;
  /** The title of the chat, from which a branch gets its own. */
  title: string;
  /** The model that answers unless another one is chosen. */
  standard: string | undefined;
  onCanvas(change: Partial<CanvasState>): void;
  field: RefObject<HTMLTextAreaElement | null>;
}

/** Thread and composer of one chat. */
export function ChatColumn({ store, view, words, catalog, title, standard, onCanvas, field }: ChatColumnProps) {
  const [draft, setDraft] = useDraft(store.sessionId);
  const edit = (text: string | undefined) => {
    if (text === undefined) return;
    setDraft(text);
    field.current?.focus();
    // The caret belongs at the end of what is to be edited, once it is there.
    requestAnimationFrame(() => field.current?.setSelectionRange(text.length, text.length));
  };
  const editLast = () => {
    const unsent = view.outbox.findLast((item) => item.state !== 'sent');
    edit(unsent ? store.withdraw(unsent.messageId) : view.conversation.runs.at(-1)?.question);
  };
  // What is being written is not lost to what is taken up again.
  const editAgain = useHandler((question: string) => edit(draft.trim() === '' ? question : `${draft}\n${question}`));
  const toField = useHandler(() => focusQuietly(field.current));
  const send = () => {
    store.submit(draft);
    setDraft('');
  };
  return (
    <>
      <Thread
        view={view}
        catalog={catalog}
        actions={useRunActions(store, title, onCanvas, editAgain, toField)}
        onEditUnsent={useHandler((messageId: string) => edit(store.withdraw(messageId)))}
        onWithdraw={useHandler((messageId: string) => void store.withdraw(messageId))}
        onResubmit={useHandler((messageId: string) => store.resubmit(messageId))}
        onDismiss={useHandler((noticeId: number) => store.dismiss(noticeId))}
      />
      {/* The same gutters as the scrolling part above, so that both columns have the same edges. */}
      <div className="shrink-0 overflow-hidden [scrollbar-gutter:stable_both-edges]">
        <div className="mx-auto w-full max-w-[40rem] px-4 pb-4 max-sm:px-2 max-sm:pb-[max(8px,env(safe-area-inset-bottom))]">
          {view.conversation.deletedBy === undefined ? (
            <ConnectionBanner words={words} onRetry={store.reconnect} onNewChat={startChat} />
          ) : (
            <Deleted />
          )}
          {view.conversation.deletedBy === undefined && <Composer
            draft={draft}
            onDraft={setDraft}
            onSend={send}
            onEditLast={editLast}
            running={view.active !== undefined}
            stopping={view.stopping}
            onStop={() => (store.stop(), toField())}
            online={!/^(?:waiting|failed|refused)$/.test(view.connection.state)}
            field={field}
            answerers={{ standard, agents: catalog.value?.agents ?? [] }}
          />}
        </div>
      </div>
      <Announcer conversation={view.conversation} />
    </>
  );
}

function Deleted() {
  return (
    <div role="status" data-testid="deleted" className="mb-2 flex flex-wrap items-center gap-x-3 gap-y-2 rounded-lg bg-bad-tint px-3 py-2 text-sm text-bad">
      <span className="flex-1 basis-56">This chat was deleted. What is shown here is not on the server any more</span>
      <TextButton onClick={startChat}>New chat</TextButton>
    </div>
  );
}

/** The same object for the life of the chat, so that a finished run is never drawn again. */
function useRunActions(store: ConversationStore, title: string, onCanvas: (change: Partial<CanvasState>) => void, edit: (question: string) => void, toField: () => void): RunActions {
  const branch = useHandler((run: Run) => {
    const { chatId } = store.getView().conversation;
    if (chatId !== undefined) branchFrom({ chat_id: chatId, title }, run.answerId).catch((error: Error) => say(error.message, 'bad'));
  });
  return useMemo(
    () => ({
      // A button that goes with what it did must not take the focus along: it goes to where one would write next.
      ask: (question) => (store.submit(question), toField()),
      edit,
      stop: (runId) => (store.stop(runId), toField()),
      showDiagram: (runId) => onCanvas({ open: true, tab: 'diagram', runId }),
      showTables: () => onCanvas({ open: true, tab: 'tables' }),
      showSources: (runId, number) => onCanvas({ open: true, tab: 'sources', source: { runId, ...(number === undefined ? {} : { number }) } }),
      decide: (callId, approved) => (store.decide(callId, approved), toField()),
      branch,
    }),
    [store, branch, onCanvas, edit, toField],
  );
}
