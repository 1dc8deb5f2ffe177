//! One chat with everything around it: chats on the left, the conversation, the canvas on the right.
//!
//! Holds what concerns more than one column; each column draws itself.

import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import { Canvas } from '../canvas/Canvas';
import { afterRun, closedCanvas, runsWithDiagram, type CanvasState } from '../canvas/state';
import { Announcer } from '../chat/Announcer';
import { Composer } from '../chat/Composer';
import { useDraft } from '../chat/draft';
import type { RunActions } from '../chat/RunView';
import { Thread } from '../chat/Thread';
import { withCurrent } from '../chats/groups';
import { openChat, startChat } from '../chats/session';
import { Sidebar } from '../chats/Sidebar';
import { ConnectionBanner, ConnectionDot } from '../connection/ConnectionBanner';
import { describe } from '../connection/words';
import type { ConversationStore, View } from '../conversation/store';
import type { Catalog, ChatSummary, Health, Resource } from '../server/resources';
import { ChatMenu } from './ChatMenu';
import { IconButton } from './controls';
import type { Entry } from './finding';
import { isWriting, useKeys, useMedia, useNow, useOnline } from './hooks';
import { CanvasIcon, MenuIcon, PlusIcon } from './icons';
import { Palette } from './Palette';
import { Sheet } from './Sheet';
import { toggleTheme } from './theme';

interface WorkspaceProps {
  store: ConversationStore;
  catalog: Resource<Catalog>;
  chats: Resource<{ chats: readonly ChatSummary[] }>;
  health: Resource<Health>;
}

/** The whole page of one chat. */
export function Workspace({ store, catalog, chats, health }: WorkspaceProps) {
  const view = useSyncExternalStore(store.subscribe, store.getView);
  const hasSidebar = useMedia('(min-width: 768px)');
  const hasCanvas = useMedia('(min-width: 1080px)');
  const [draft, setDraft] = useDraft(store.sessionId);
  const [canvas, changeCanvas] = useCanvas(view, hasCanvas);
  const [chatsOpen, setChatsOpen] = useState(false);
  const [paletteOpen, setPaletteOpen] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const words = useWords(view, health.value);
  useRefreshing(view, chats, catalog, health);

  const actions = useMemo<RunActions>(
    () => ({
      ask: (question) => store.submit(question),
      stop: (runId) => store.stop(runId),
      showDiagram: (runId) => changeCanvas({ open: true, tab: 'diagram', runId }),
      showTables: () => changeCanvas({ open: true, tab: 'tables' }),
    }),
    [store, changeCanvas],
  );
  const send = () => {
    store.submit(draft);
    setDraft('');
  };
  const edit = (text: string) => {
    setDraft(text);
    field.current?.focus();
    // The caret belongs at the end of what is to be edited, once it is there.
    requestAnimationFrame(() => field.current?.setSelectionRange(text.length, text.length));
  };
  const askTable = (table: string) => {
    if (!hasCanvas) changeCanvas({ open: false });
    store.submit(`What is in ${table}?`);
  };
  const editLast = () => {
    const unsent = view.outbox.findLast((item) => item.state !== 'sent');
    const text = unsent ? store.withdraw(unsent.messageId) : view.conversation.runs.at(-1)?.question;
    if (text !== undefined) edit(text);
  };
  const overlay = paletteOpen || chatsOpen || (canvas.open && !hasCanvas);
  useKeys((event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      setPaletteOpen((open) => !open);
    } else if (event.key === '/' && !isWriting(event) && !overlay && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      field.current?.focus();
    } else if (event.key === 'Escape' && !overlay && !event.defaultPrevented) {
      store.stop();
    }
  });

  const current = describeCurrent(view);
  const listed = withCurrent(chats.value?.chats ?? [], current);
  const title = listed[0]?.title || 'New chat';
  useEffect(() => {
    document.title = `${title} · Tidewire`;
  }, [title]);

  const status = <ConnectionDot words={words} />;
  const sidebar = (
    <Sidebar
      chats={listed}
      current={store.sessionId}
      failed={chats.failed}
      health={health.value}
      status={status}
      onNew={() => {
        setChatsOpen(false);
        startChat();
      }}
      onFind={() => {
        setChatsOpen(false);
        setPaletteOpen(true);
      }}
      onChosen={() => setChatsOpen(false)}
    />
  );
  const canvasPane = (
    <Canvas canvas={canvas} onChange={changeCanvas} diagrams={runsWithDiagram(view.conversation)} catalog={catalog} onAskTable={askTable} />
  );
  const entries = usePaletteEntries(paletteOpen, { listed, catalog, view, store, changeCanvas, askTable, focus: () => field.current?.focus() });

  return (
    <div className="flex h-full">
      {hasSidebar ? (
        <div className="w-60 shrink-0 border-r border-line">{sidebar}</div>
      ) : (
        <Sheet side="left" title="Chats" open={chatsOpen} onOpenChange={setChatsOpen}>{sidebar}</Sheet>
      )}
      <main aria-label="Conversation" className="flex min-w-0 flex-1 flex-col">
        <header className="flex h-14 shrink-0 items-center gap-2 border-b border-line px-4 max-sm:px-2">
          {!hasSidebar && <IconButton label="Chats" onClick={() => setChatsOpen(true)}><MenuIcon /></IconButton>}
          <h1 className="min-w-0 flex-1 truncate font-medium">{title}</h1>
          {!hasSidebar && <ConnectionDot words={words} compact />}
          {!hasSidebar && <IconButton label="New chat" data-testid="new-chat" onClick={startChat}><PlusIcon /></IconButton>}
          <ChatMenu title={title} conversation={view.conversation} />
          <IconButton label={canvas.open ? 'Close the canvas' : 'Open the canvas'} data-testid="toggle-canvas" aria-pressed={canvas.open} onClick={() => changeCanvas({ open: !canvas.open })}>
            <CanvasIcon />
          </IconButton>
        </header>
        <Thread
          view={view}
          catalog={catalog}
          actions={actions}
          onEditUnsent={(messageId) => {
            const text = store.withdraw(messageId);
            if (text !== undefined) edit(text);
          }}
          onWithdraw={(messageId) => store.withdraw(messageId)}
          onResubmit={(messageId) => store.resubmit(messageId)}
          onDismiss={(noticeId) => store.dismiss(noticeId)}
        />
        {/* The same gutters as the scrolling part above, so that both columns have the same edges. */}
        <div className="shrink-0 overflow-hidden [scrollbar-gutter:stable_both-edges]">
          <div className="mx-auto w-full max-w-[40rem] px-4 pb-4 max-sm:px-2 max-sm:pb-[max(8px,env(safe-area-inset-bottom))]">
            <ConnectionBanner words={words} onRetry={store.reconnect} onNewChat={startChat} />
            <Composer
              draft={draft}
              onDraft={setDraft}
              onSend={send}
              onEditLast={editLast}
              running={view.active !== undefined}
              stopping={view.stopping}
              onStop={() => store.stop()}
              online={words.tone === 'good' || view.connection.state === 'idle' || view.connection.state === 'connecting'}
              field={field}
            />
          </div>
        </div>
        <Announcer conversation={view.conversation} />
      </main>
      {hasCanvas
        ? canvas.open && <aside aria-label="Canvas" className="glide w-[42%] max-w-[56rem] min-w-96 shrink-0 border-l border-line [--from:16px]">{canvasPane}</aside>
        : <Sheet side="right" title="Canvas" open={canvas.open} onOpenChange={(open) => changeCanvas({ open })}>{canvasPane}</Sheet>}
      <Palette open={paletteOpen} onOpenChange={setPaletteOpen} entries={entries} />
    </div>
  );
}

/** The open chat as the list would show it, before the server lists it. */
function describeCurrent(view: View): ChatSummary {
  const runs = view.conversation.runs;
  return {
    session_id: view.sessionId,
    chat_id: '',
    title: runs[0]?.question.split('\n')[0]?.slice(0, 80) ?? '',
    updated_at: runs.at(-1)?.askedAt || new Date().toISOString(),
    running: view.active !== undefined,
  };
}

/** The canvas, which follows answers that end while the person looks on, and the last one of a reopened chat. */
function useCanvas(view: View, hasRoom: boolean): [CanvasState, (change: Partial<CanvasState>) => void] {
  const [canvas, setCanvas] = useState(closedCanvas);
  const change = useCallback((next: Partial<CanvasState>) => setCanvas((before) => ({ ...before, ...next })), []);
  const ended = view.conversation.runs.findLast((run) => run.status === 'finished');
  const seen = useRef<string>(undefined);
  useEffect(() => {
    if (!view.caughtUp || ended === undefined || seen.current === ended.runId) return;
    seen.current = ended.runId;
    // On a phone the canvas would cover the answer, so there it waits behind its button.
    if (hasRoom) setCanvas((before) => afterRun(before, ended));
  }, [view.caughtUp, ended, hasRoom]);
  return [canvas, change];
}

function useWords(view: View, health: Health | undefined) {
  const offline = !useOnline();
  const now = useNow(view.connection.state === 'waiting');
  return describe(view.connection, { offline, now, draining: health?.status === 'draining', unsent: view.outbox.length });
}

/** Reads the lists again when a run begins or ends, and when the connection comes back. */
function useRefreshing(view: View, ...resources: readonly Pick<Resource<unknown>, 'refresh'>[]): void {
  const moment = `${view.active?.runId ?? ''} ${view.connection.state === 'online'} ${view.conversation.runs.length}`;
  const refreshers = useRef<readonly Pick<Resource<unknown>, 'refresh'>[]>(resources);
  refreshers.current = resources;
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    for (const resource of refreshers.current) resource.refresh();
  }, [moment]);
}

interface PaletteParts {
  listed: readonly ChatSummary[];
  catalog: Resource<Catalog>;
  view: View;
  store: ConversationStore;
  changeCanvas(change: Partial<CanvasState>): void;
  askTable(table: string): void;
  focus(): void;
}

function usePaletteEntries(open: boolean, parts: PaletteParts): readonly Entry[] {
  return useMemo(() => (open ? paletteEntries(parts) : []), [open]); // Made when it opens; a list that changes under the hand misleads.
}

function paletteEntries({ listed, catalog, view, store, changeCanvas, askTable, focus }: PaletteParts): readonly Entry[] {
  const action = (title: string, run: () => void): Entry => ({ id: `action ${title}`, kind: 'Action', title, run });
  const actions = [
    action('New chat', startChat),
    action('Show the diagram', () => changeCanvas({ open: true, tab: 'diagram' })),
    action('Show the tables', () => changeCanvas({ open: true, tab: 'tables' })),
    action('Change between light and dark', toggleTheme),
    // After the dialog has given the focus back to where it came from.
    action('Write a question', () => setTimeout(focus)),
  ];
  if (view.active) actions.unshift(action('Stop the answer', () => store.stop()));
  const chats = listed.map((chat): Entry => ({
    id: `chat ${chat.session_id}`, kind: 'Chat', title: chat.title || 'New chat', run: () => openChat(chat.session_id),
  }));
  const tables = (catalog.value?.tables ?? []).map((table): Entry => ({
    id: `table ${table.full_name}`, kind: 'Table', title: table.name, detail: table.description, run: () => askTable(table.name),
  }));
  return [...actions, ...chats, ...tables];
}
