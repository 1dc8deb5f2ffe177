//! One chat with everything around it: chats on the left, the conversation, the canvas on the right.
//!
//! Decides what is beside and what is over; each column draws itself.

import { useEffect, useRef, useState, useSyncExternalStore, type ReactNode } from 'react';
import { Canvas } from '../canvas/Canvas';
import { runsWithDiagram, runsWithSources } from '../canvas/state';
import { ChatColumn } from '../chat/ChatColumn';
import { ChatDialogs } from '../chats/ChatDialogs';
import { ChatTitle } from '../chats/ChatTitle';
import { unsentChat } from '../chats/groups';
import { startChat } from '../chats/session';
import { Sidebar } from '../chats/Sidebar';
import { useChatWishes } from '../chats/wishes';
import { ConnectionDot } from '../connection/ConnectionBanner';
import type { ConversationStore } from '../conversation/store';
import type { Catalog, ChatSummary, Health, Resource } from '../server/resources';
import { IconButton } from './controls';
import { useEntries } from './entries';
import { HeaderMenu } from './HeaderMenu';
import { isWriting, useHandler, useKeys, useMedia, useSteady } from './hooks';
import { CanvasIcon, MenuIcon, PlusIcon } from './icons';
import { CHAT_KEYS, KeysHelp } from './KeysHelp';
import { Palette } from './Palette';
import { Sheet } from './Sheet';
import { useCanvas, useListed, useRefreshing, useUnseen, useWords } from './state';

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
  const [canvas, changeCanvas] = useCanvas(view, hasCanvas);
  const [chatsOpen, setChatsOpen] = useState(false);
  const [paletteOpen, setPaletteOpen] = useState(false);
  const [keysOpen, setKeysOpen] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const words = useWords(view, health.value);
  const listed = useListed(view, chats.value?.chats);
  const current = listed.find((chat) => chat.session_id === store.sessionId) ?? unsentChat(store.sessionId, '');
  const title = current.title || 'New chat';
  const wishes = useChatWishes({ store, refresh: chats.refresh });
  useRefreshing(view, chats, catalog, health);
  const unseen = useUnseen(view.conversation);
  useEffect(() => {
    document.title = `${unseen ? '● ' : ''}${title} · Tidewire`;
  }, [title, unseen]);

  const askTable = useHandler((table: string) => {
    if (!hasCanvas) changeCanvas({ open: false });
    store.submit(`What is in ${table}?`);
  });
  const focus = () => field.current?.focus();
  const stop = view.active ? () => store.stop() : undefined;
  const entries = useEntries(paletteOpen, { chats: listed, catalog: catalog.value, stop, changeCanvas, askTable, focus, showKeys: () => setKeysOpen(true) });
  const overlay = paletteOpen || keysOpen || chatsOpen || wishes.question !== undefined || (canvas.open && !hasCanvas);
  useShortcuts({ overlay, focus, stop: () => store.stop(), find: () => setPaletteOpen((open) => !open), help: () => setKeysOpen(true) });

  const sidebar = (
    <Sidebar
      chats={listed}
      current={store.sessionId}
      failed={chats.failed}
      health={health.value}
      words={words}
      onNew={useHandler(() => {
        setChatsOpen(false);
        startChat();
      })}
      onFind={useHandler(() => {
        setChatsOpen(false);
        setPaletteOpen(true);
      })}
      onChosen={useHandler(() => setChatsOpen(false))}
      onWish={wishes.wish}
    />
  );
  const diagrams = useSteady(runsWithDiagram(view.conversation));
  const sourced = useSteady(runsWithSources(view.conversation));
  const canvasPane = <Canvas canvas={canvas} onChange={changeCanvas} diagrams={diagrams} sourced={sourced} catalog={catalog} onAskTable={askTable} />;

  return (
    <div className="flex h-full">
      {hasSidebar ? (
        <div className="w-60 shrink-0 border-r border-line">{sidebar}</div>
      ) : (
        <Sheet side="left" title="Chats" open={chatsOpen} onOpenChange={setChatsOpen}>{sidebar}</Sheet>
      )}
      <main aria-label="Conversation" className="flex min-w-0 flex-1 flex-col">
        <Header title={title}>
          {!hasSidebar && <ConnectionDot words={words} compact />}
          {!hasSidebar && <IconButton label="New chat" data-testid="new-chat" onClick={startChat}><PlusIcon /></IconButton>}
          {!hasSidebar && <IconButton label="Chats" className="order-first" onClick={() => setChatsOpen(true)}><MenuIcon /></IconButton>}
          <HeaderMenu chat={current} conversation={view.conversation} onWish={wishes.wish} onKeys={() => setKeysOpen(true)} />
          <IconButton label={canvas.open ? 'Close the canvas' : 'Open the canvas'} data-testid="toggle-canvas" aria-pressed={canvas.open} onClick={() => changeCanvas({ open: !canvas.open })}>
            <CanvasIcon />
          </IconButton>
        </Header>
        <ChatColumn store={store} view={view} words={words} catalog={catalog} title={title} standard={health.value?.model} onCanvas={changeCanvas} field={field} />
      </main>
      {hasCanvas
        ? canvas.open && <aside aria-label="Canvas" className="glide w-[42%] max-w-[56rem] min-w-96 shrink-0 border-l border-line [--from:16px]">{canvasPane}</aside>
        : <Sheet side="right" title="Canvas" open={canvas.open} onOpenChange={(open) => changeCanvas({ open })}>{canvasPane}</Sheet>}
      <ChatDialogs question={wishes.question} onClose={wishes.close} onRename={wishes.rename} onDelete={wishes.remove} />
      <Palette open={paletteOpen} onOpenChange={setPaletteOpen} entries={entries} />
      <KeysHelp open={keysOpen} onOpenChange={setKeysOpen} keys={CHAT_KEYS} />
    </div>
  );
}

function Header({ title, children }: { title: string; children: ReactNode }) {
  return (
    <header className="flex h-14 shrink-0 items-center gap-2 border-b border-line px-4 max-sm:gap-1 max-sm:px-2">
      <h1 className="min-w-0 flex-1 font-medium" title={title}><ChatTitle title={title} /></h1>
      {children}
    </header>
  );
}

interface Shortcuts {
  /** Something lies over the conversation and has the keys for itself. */
  overlay: boolean;
  focus(): void;
  stop(): void;
  find(): void;
  help(): void;
}

function useShortcuts({ overlay, focus, stop, find, help }: Shortcuts): void {
  useKeys((event) => {
    const command = event.ctrlKey || event.metaKey;
    if (command && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      find();
    } else if (event.key === '/' && !command && !overlay && !isWriting(event)) {
      event.preventDefault();
      focus();
    } else if (event.key === '?' && !command && !overlay && !isWriting(event)) {
      event.preventDefault();
      help();
    } else if (event.key === 'Escape' && !overlay && !event.defaultPrevented) {
      stop();
    }
  });
}
