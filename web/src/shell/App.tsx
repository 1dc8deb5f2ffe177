//! The page: signs in if the server asks for it, then shows the chat that the address names.

import { lazy, Suspense, useEffect, useMemo } from 'react';
import { useSessionId } from '../chats/session';
import { openPort } from '../connection/port';
import { ConversationStore } from '../conversation/store';
import { isData, useHash } from '../data/address';
import { useAccess } from '../server/access';
import { knowAgents, messageOptions } from '../server/models';
import { useCatalog, useChats, useHealth } from '../server/resources';
import { focusQuietly } from './hooks';
import { Notices } from './notices';
import { rememberPlace } from './places';
import { SignIn } from './SignIn';
import { localStore } from './storage';
import { Workspace } from './Workspace';

/** Who only chats does not load the tables. */
const DataView = lazy(() => import('../data/DataView'));

/** Everything. */
export function App() {
  return useAccess() === 'required' ? <SignIn /> : <SignedIn />;
}

function SignedIn() {
  const hash = useHash();
  const place = isData(hash) ? 'data' : 'chats';
  useEffect(() => rememberPlace(place, location.hash), [place, hash]);
  return (
    <>
      {place === 'data' ? <Suspense fallback={null}><DataView /></Suspense> : <Chats />}
      <Notices />
    </>
  );
}

function Chats() {
  const sessionId = useSessionId();
  const catalog = useCatalog();
  const chats = useChats();
  const health = useHealth();
  useEffect(() => {
    if (catalog.value) knowAgents(catalog.value.agents ?? []);
  }, [catalog.value]);
  const store = useMemo(() => newStore(sessionId), [sessionId]);
  useEffect(() => {
    focusQuietly(document.querySelector<HTMLElement>('[data-testid=composer]'));
  }, [sessionId]);
  // Another chat is another page as far as drafts, scroll and canvas go.
  return <Workspace key={sessionId} store={store} catalog={catalog} chats={chats} health={health} />;
}

function newStore(sessionId: string): ConversationStore {
  return new ConversationStore(sessionId, () => openPort(sessionId), {
    storage: localStore,
    schedule: nextFrame,
    now: () => Date.now(),
    options: messageOptions,
  });
}

/** The next animation frame; a hidden page has none, and there a timer keeps the conversation going. */
function nextFrame(callback: () => void): void {
  if (document.visibilityState === 'visible') requestAnimationFrame(callback);
  else setTimeout(callback, 250);
}
