//! Messages that the server has not taken yet. They stay visible, survive a reload, and can be withdrawn.
//!
//! The client queues them and sends them again; here is what the person sees of it, and what is kept in the browser.

import type { MessageOptions } from './frames';

/** A message on its way. */
export interface OutboxItem {
  readonly messageId: string;
  readonly content: string;
  /** Who is to answer it, and what is asked about first; kept, so that a reload changes nothing. */
  readonly options?: MessageOptions;
  /** `waiting` for a connection, `sent` and not yet echoed, or `refused` by the server. */
  readonly state: 'waiting' | 'sent' | 'refused';
  /** Why it was refused. */
  readonly reason?: string;
  /** When it may be sent again, in milliseconds since 1970. */
  readonly retryAt?: number;
}

/** The part of the browser's storage that is needed. */
export type Storage = Pick<globalThis.Storage, 'getItem' | 'setItem' | 'removeItem'>;

const PREFIX = 'tidewire.outbox.';
const keyOf = (sessionId: string) => PREFIX + sessionId;

/** Sessions in which something was left unsent, with their first unsent message. */
export function unsentSessions(storage: Storage & Pick<globalThis.Storage, 'length' | 'key'>): readonly { sessionId: string; first: string }[] {
  const keys = Array.from({ length: storage.length }, (_, index) => storage.key(index) ?? '');
  return keys
    .filter((key) => key.startsWith(PREFIX))
    .map((key) => key.slice(PREFIX.length))
    .flatMap((sessionId) => loadOutbox(storage, sessionId).slice(0, 1).map((item) => ({ sessionId, first: item.content })));
}

/** What was left unsent in this session; whatever is unreadable counts as nothing. */
export function loadOutbox(storage: Storage, sessionId: string): readonly OutboxItem[] {
  try {
    const items: unknown = JSON.parse(storage.getItem(keyOf(sessionId)) ?? '[]');
    return Array.isArray(items) ? items.filter(isItem) : [];
  } catch {
    return [];
  }
}

/** Keeps the outbox for the next load. A full or forbidden storage costs only that. */
export function saveOutbox(storage: Storage, sessionId: string, outbox: readonly OutboxItem[]): void {
  try {
    if (outbox.length === 0) storage.removeItem(keyOf(sessionId));
    else storage.setItem(keyOf(sessionId), JSON.stringify(outbox));
  } catch {
    // The messages are still on the screen and in memory.
  }
}

function isItem(value: unknown): value is OutboxItem {
  if (typeof value !== 'object' || value === null) return false;
  const item = value as Record<string, unknown>;
  return typeof item.messageId === 'string' && typeof item.content === 'string' && /^(?:waiting|sent|refused)$/.test(String(item.state));
}
