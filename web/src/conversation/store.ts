//! One conversation as the page holds it: frames and connection status in, an immutable view out.
//!
//! Knows no React and no socket. Frames are gathered and applied once per animation frame, so a fast model costs one
//! render a frame, not one a token.

import type { ChatPort, ConnectionStatus } from '../connection/port';
import type { ServerFrame } from './frames';
import { activeRun, emptyConversation, isCaughtUp, type Conversation, type Run } from './model';
import { loadOutbox, refuse, saveOutbox, withState, without, type OutboxItem, type Storage } from './outbox';
import { dismissNotice, reduce } from './reduce';

/** Everything that a screen shows of a conversation. */
export interface View {
  readonly sessionId: string;
  readonly conversation: Conversation;
  readonly connection: ConnectionStatus;
  readonly outbox: readonly OutboxItem[];
  /** The run that a stop would end; the server says so, not our own clicks. */
  readonly active: Run | undefined;
  /** Whether the stop was asked for and not yet confirmed. */
  readonly stopping: boolean;
  readonly caughtUp: boolean;
}

/** What the store borrows from its surroundings, so that tests can hold the clock. */
export interface Surroundings {
  readonly storage: Storage;
  /** Calls back once, soon; the page passes its animation frame. */
  schedule(callback: () => void): void;
  now(): number;
  newId(): string;
}

/** Holds one conversation. Opened by its first listener, closed by its last. */
export class ConversationStore {
  readonly sessionId: string;
  private view: View;
  private readonly listeners = new Set<() => void>();
  private pending: ServerFrame[] = [];
  private scheduled = false;
  private stopAsked: string | undefined;
  private close: (() => void) | undefined;

  constructor(
    sessionId: string,
    private readonly port: ChatPort,
    private readonly surroundings: Surroundings,
  ) {
    this.sessionId = sessionId;
    this.view = {
      sessionId,
      conversation: emptyConversation,
      connection: { state: 'connecting' },
      outbox: loadOutbox(surroundings.storage, sessionId),
      active: undefined,
      stopping: false,
      caughtUp: false,
    };
  }

  /** For `useSyncExternalStore`. */
  readonly getView = (): View => this.view;

  /** For `useSyncExternalStore`. The connection lives as long as somebody listens. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    this.close ??= this.port.open({ frame: this.onFrame, status: this.onStatus });
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size > 0) return;
      this.close?.();
      this.close = undefined;
    };
  };

  /** Asks. Without a connection the message waits, and leaves as soon as there is one. */
  submit(content: string): void {
    const text = content.trim();
    if (text === '') return;
    const item: OutboxItem = { messageId: this.surroundings.newId(), content: text, state: 'waiting' };
    this.setOutbox([...this.view.outbox, item]);
    this.post(item);
  }

  /** Sends a refused message again, because the person said so. */
  resubmit(messageId: string): void {
    this.setOutbox(withState(this.view.outbox, messageId, 'waiting'));
    const item = this.view.outbox.find((candidate) => candidate.messageId === messageId);
    if (item) this.post(item);
  }

  /** Takes an unsent message back and gives its text, for the composer. */
  withdraw(messageId: string): string {
    const item = this.view.outbox.find((candidate) => candidate.messageId === messageId);
    this.setOutbox(without(this.view.outbox, messageId));
    return item?.content ?? '';
  }

  /** Ends a run; without an argument the one that is going on. What was written stays. */
  stop(runId: string | undefined = this.view.active?.runId): void {
    if (runId === undefined || !this.port.stop(runId)) return;
    this.stopAsked = runId;
    this.update({});
  }

  /** Tries the connection now. */
  readonly reconnect = (): void => this.port.reconnect();

  /** Takes a notice away. */
  dismiss(id: number): void {
    this.update({ conversation: dismissNotice(this.view.conversation, id) });
  }

  private post(item: OutboxItem): void {
    if (this.view.connection.state !== 'online' || !this.port.send(item.content, item.messageId)) return;
    this.setOutbox(withState(this.view.outbox, item.messageId, 'sent'));
  }

  private readonly onFrame = (frame: ServerFrame): void => {
    this.pending.push(frame);
    if (this.scheduled) return;
    this.scheduled = true;
    this.surroundings.schedule(this.flush);
  };

  /** Applies what has gathered. */
  private readonly flush = (): void => {
    this.scheduled = false;
    const frames = this.pending;
    this.pending = [];
    if (frames.length === 0) return;
    const rest = frames.filter((frame) => !this.settle(frame));
    this.update({ conversation: reduce(this.view.conversation, rest) });
  };

  /** Lets the outbox have its part of a frame; true when the conversation has no part in it. */
  private settle(frame: ServerFrame): boolean {
    const before = this.view.outbox;
    if (frame.type === 'user' && frame.message_id !== undefined) this.setOutbox(without(before, frame.message_id));
    if (frame.type !== 'error' || frame.run_id !== undefined) return false;
    this.setOutbox(refuse(before, frame, this.surroundings.now()));
    return this.view.outbox !== before;
  }

  private readonly onStatus = (connection: ConnectionStatus): void => {
    const cameOnline = connection.state === 'online' && this.view.connection.state !== 'online';
    this.update({ connection });
    if (!cameOnline) return;
    this.stopAsked = undefined;
    this.setOutbox(this.view.outbox.map((item) => (item.state === 'sent' ? { ...item, state: 'waiting' } : item)));
    for (const item of this.view.outbox) if (item.state === 'waiting') this.post(item);
  };

  private setOutbox(outbox: readonly OutboxItem[]): void {
    if (outbox === this.view.outbox) return;
    saveOutbox(this.surroundings.storage, this.sessionId, outbox);
    this.update({ outbox });
  }

  private update(change: Partial<View>): void {
    const next = { ...this.view, ...change };
    const active = activeRun(next.conversation);
    if (this.stopAsked !== undefined && active?.runId !== this.stopAsked) this.stopAsked = undefined;
    this.view = { ...next, active, stopping: this.stopAsked !== undefined, caughtUp: isCaughtUp(next.conversation) };
    for (const listener of this.listeners) listener();
  }
}

