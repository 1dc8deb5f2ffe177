//! Messages that the server has not taken yet. They stay visible, survive a reload, and can be withdrawn.

import type { ErrorFrame } from './frames';

/** A message on its way. */
export interface OutboxItem {
  readonly messageId: string;
  readonly content: string;
  /** `waiting` for a connection, `sent` and not yet echoed, or `refused` by the server. */
  readonly state: 'waiting' | 'sent' | 'refused';
  /** Why it was refused. */
  readonly reason?: string;
  /** When it may be sent again, in milliseconds since 1970. */
  readonly retryAt?: number;
}

/** The part of the browser's storage that is needed. */
export type Storage = Pick<globalThis.Storage, 'getItem' | 'setItem' | 'removeItem'>;

/** The same outbox without the message that was accepted or withdrawn. */
export function without(outbox: readonly OutboxItem[], messageId: string): readonly OutboxItem[] {
  return outbox.some((item) => item.messageId === messageId)
    ? outbox.filter((item) => item.messageId !== messageId)
    : outbox;
}

/** The same outbox with one message in another state. */
export function withState(
  outbox: readonly OutboxItem[],
  messageId: string,
  state: OutboxItem['state'],
): readonly OutboxItem[] {
  return outbox.map((item) => (item.messageId === messageId ? { messageId, content: item.content, state } : item));
}

/**
 * Marks the message that an error speaks of. It is never sent again without the person's word: a limit that was
 * reached is not helped by asking more, and an answer may cost money.
 */
export function refuse(outbox: readonly OutboxItem[], frame: ErrorFrame, now: number): readonly OutboxItem[] {
  const index = outbox.findIndex((item) => item.messageId === frame.message_id);
  const fallback = frame.code === 'RATE_LIMITED' ? outbox.findIndex((item) => item.state === 'sent') : -1;
  const hit = outbox[index >= 0 ? index : fallback];
  if (!hit) return outbox;
  const refused: OutboxItem = {
    messageId: hit.messageId,
    content: hit.content,
    state: 'refused',
    reason: frame.content,
    ...(frame.retry_after_ms === undefined ? {} : { retryAt: now + frame.retry_after_ms }),
  };
  return outbox.map((item) => (item === hit ? refused : item));
}

const keyOf = (sessionId: string) => `tidewire.outbox.${sessionId}`;

/** What was left unsent in this session; whatever is unreadable counts as nothing. */
export function loadOutbox(storage: Storage, sessionId: string): readonly OutboxItem[] {
  try {
    const items: unknown = JSON.parse(storage.getItem(keyOf(sessionId)) ?? '[]');
    return Array.isArray(items) ? items.filter(isItem).map(asUnsent) : [];
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
  return typeof item.messageId === 'string' && typeof item.content === 'string';
}

/** A message of which we do not know whether it arrived is offered again; its id keeps it from running twice. */
function asUnsent(item: OutboxItem): OutboxItem {
  return item.state === 'refused' ? item : { messageId: item.messageId, content: item.content, state: 'waiting' };
}
