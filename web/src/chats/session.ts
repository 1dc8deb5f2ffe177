//! Which chat the address names: `#/c/<session_id>`.

import { useSyncExternalStore } from 'react';
import { isData } from '../data/address';

const ADDRESS = /^#\/c\/([^/?]+)$/;

/** A new session id: 24 characters that nobody guesses. Works on plain http, where `randomUUID` does not. */
export function newSessionId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The session that an address names. */
export function sessionOf(hash: string): string | undefined {
  const id = ADDRESS.exec(hash)?.[1];
  return id === undefined ? undefined : decodeURIComponent(id);
}

/** The address of a session. */
export function addressOf(sessionId: string): string {
  return `#/c/${encodeURIComponent(sessionId)}`;
}

/** Goes to a chat; the browser's back button leads back. */
export function openChat(sessionId: string): void {
  location.hash = addressOf(sessionId);
}

/** Goes to a chat that does not exist yet. */
export function startChat(): void {
  openChat(newSessionId());
}

/** Follows the address. An address without a session is given one, without a step in the history. */
export function useSessionId(): string {
  return useSyncExternalStore(subscribe, currentSession);
}

function subscribe(listener: () => void): () => void {
  addEventListener('hashchange', listener);
  return () => removeEventListener('hashchange', listener);
}

/** The chat that was open before the data was looked at. */
let before: string | undefined;

function currentSession(): string {
  const named = sessionOf(location.hash) ?? (isData(location.hash) ? before : undefined);
  if (named !== undefined) return (before = named);
  const fresh = newSessionId();
  history.replaceState(null, '', addressOf(fresh));
  return fresh;
}
