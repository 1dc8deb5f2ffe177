//! Whether this page may talk to the server, and the key that it talks with.
//!
//! The key stays in this tab's session storage. Sockets never see it: each attempt trades it for a short-lived ticket.

import { useSyncExternalStore } from 'react';
import { tabStore } from '../shell/storage';

/** `open` until the server says 401; `required` asks the person for a key. */
export type Access = 'open' | 'required';

const KEY = 'tidewire.key';
let access: Access = 'open';
const listeners = new Set<() => void>();

function setAccess(next: Access): void {
  if (next === access) return;
  access = next;
  for (const listener of listeners) listener();
}

/** The key of this tab, if one was given. */
export function currentKey(): string | null {
  return tabStore.getItem(KEY);
}

/** Forgets the key and asks for another. */
export function signOut(): void {
  tabStore.removeItem(KEY);
  setAccess('required');
}

/** Tries a key by trading it for a ticket. Gives a sentence for the person if it does not work. */
export async function signIn(key: string): Promise<string | undefined> {
  try {
    const response = await fetch('/api/tickets', { method: 'POST', headers: { authorization: `Bearer ${key}` } });
    if (response.status === 401 || response.status === 403) return 'This key is not valid';
    if (!response.ok) return `The server answered ${response.status}; try again in a moment`;
  } catch {
    return 'The server cannot be reached; try again in a moment';
  }
  tabStore.setItem(KEY, key);
  setAccess('open');
  return undefined;
}

/** A request with the tab's key. */
export function authorized(init: RequestInit): RequestInit {
  const key = currentKey();
  const headers = new Headers(init.headers);
  if (key !== null) headers.set('authorization', `Bearer ${key}`);
  return { ...init, headers };
}

/** Fetches JSON with the tab's key. Throws if the answer is not a success; 401 also asks for a key. */
export async function fetchJson<T>(path: string, init: RequestInit = {}): Promise<T> {
  const response = await fetch(path, authorized(init));
  if (response.status === 401) setAccess('required');
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  return (await response.json()) as T;
}

/** Whether the server asks for a key that this tab does not have; it says so to any question of the page. */
export async function needsKey(): Promise<boolean> {
  if (access === 'required') return true;
  const key = currentKey();
  const headers = key === null ? undefined : { authorization: `Bearer ${key}` };
  const response = await fetch('/api/chats', headers && { headers });
  if (response.status === 401) setAccess('required');
  return response.status === 401;
}

/** A ticket for one socket, or nothing where the server needs none. */
export async function takeTicket(): Promise<string | undefined> {
  if (currentKey() === null) return undefined;
  const answer = await fetchJson<{ ticket: string }>('/api/tickets', { method: 'POST' });
  return answer.ticket;
}

/** Follows the access state. */
export function useAccess(): Access {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => access,
  );
}
