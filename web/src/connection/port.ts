//! What the page needs from a connection: the part of the client's `SessionChat` that it uses.
//!
//! Reconnecting, resuming, heartbeats and sending again are all on the other side of it.

import { SessionChat, SchematicError, type ChatStatus } from '@tidewire/client';
import { needsKey, takeTicket } from '../server/access';

/** How things stand between this page and the server. */
export type ConnectionStatus = ChatStatus;

/** One session's conversation; tests hold another one. */
export type ChatPort = Pick<SessionChat, 'subscribe' | 'send' | 'withdraw' | 'stop' | 'decide' | 'retryNow' | 'close'>;

/** A conversation of this page's own server. It connects when somebody subscribes. */
export function openPort(sessionId: string): ChatPort {
  return new SessionChat({ sessionId, baseUrl: location.origin, ticket: obtainTicket });
}

/** A ticket for one socket. Browsers do not say that an upgrade was refused with 401, so the page asks before. */
export async function obtainTicket(): Promise<string | undefined> {
  if (await needsKey()) throw new SchematicError('auth', 'Sign in with a key');
  return takeTicket();
}
