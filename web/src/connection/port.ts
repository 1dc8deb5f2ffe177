//! What the page needs from a connection. Reconnecting, resuming and heartbeats happen on the other side of it.

import type { ServerFrame } from '../conversation/frames';

/** How things stand between this page and the server. */
export type ConnectionStatus =
  /** The first attempt, or the one that a wait has led to. */
  | { readonly state: 'connecting' }
  | { readonly state: 'online' }
  /** Lost; the next attempt comes by itself at `retryAt` (milliseconds since 1970). */
  | { readonly state: 'waiting'; readonly attempt: number; readonly retryAt: number; readonly code?: number }
  /** Given up after `attempts` tries; only the person starts again. */
  | { readonly state: 'failed'; readonly attempts: number }
  /** The server will not have this connection, and trying again would not change that. */
  | { readonly state: 'refused'; readonly code: number; readonly reason: string };

/** What a connection tells its conversation. */
export interface PortListener {
  frame(frame: ServerFrame): void;
  status(status: ConnectionStatus): void;
}

/** A connection to one session. It starts when somebody listens. */
export interface ChatPort {
  /** Starts the connection; it is over when the returned function is called. */
  open(listener: PortListener): () => void;
  /** False when there is no connection to say it on. Sending an id twice runs it once. */
  send(content: string, messageId: string): boolean;
  /** Ends a run on the server, whoever started it. */
  stop(runId: string): boolean;
  /** Attempts at once instead of waiting. */
  reconnect(): void;
}
