//! One conversation as the page holds it: frames and connection status in, an immutable view out.
//!
//! Knows no React and no socket. What arrives is gathered and applied once per animation frame, so a fast model costs
//! one render a frame, not one a token.

import type { OutboxItem as QueuedItem } from '@tidewire/client';
import type { ChatPort, ConnectionStatus } from '../connection/port';
import type { FrameOf, MessageOptions, ServerFrame } from './frames';
import { activeRun, emptyConversation, isCaughtUp, openApprovals, type Conversation, type Run } from './model';
import { loadOutbox, saveOutbox, type OutboxItem, type Storage } from './outbox';
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
  /** Calls about which this page has decided and the server has not said so yet. */
  readonly deciding: readonly string[];
  readonly caughtUp: boolean;
}

/** What the store borrows from its surroundings, so that tests can hold the clock. */
export interface Surroundings {
  readonly storage: Storage;
  /** Calls back once, soon; the page passes its animation frame. */
  schedule(callback: () => void): void;
  now(): number;
  /** What is special about the messages from now on, as the person has chosen. */
  options?(): MessageOptions;
}

/** Shown for a frame that the client could not read. Rather a word too much than an answer with a hole. */
const UNREADABLE: FrameOf<'error'> = {
  type: 'error',
  content: 'The server said something that this page cannot read; reload the page to get its newest version',
  code: 'BACKEND_ERROR',
};

/** Holds one conversation. Its first listener opens the connection, its last one closes it. */
export class ConversationStore {
  readonly sessionId: string;
  private view: View;
  private readonly listeners = new Set<() => void>();
  private port: ChatPort | undefined;
  private pending: ServerFrame[] = [];
  private scheduled = false;
  /** What the client has queued. */
  private queued: readonly QueuedItem[] = [];
  /** Messages that were refused. They leave the client's queue and go back only by the person's hand. */
  private refused: readonly OutboxItem[] = [];
  private stopAsked: string | undefined;

  constructor(
    sessionId: string,
    private readonly connect: () => ChatPort,
    private readonly surroundings: Surroundings,
  ) {
    this.sessionId = sessionId;
    this.view = {
      sessionId,
      conversation: emptyConversation,
      connection: { state: 'idle' },
      outbox: loadOutbox(surroundings.storage, sessionId),
      active: undefined,
      stopping: false,
      deciding: [],
      caughtUp: false,
    };
  }

  /** For `useSyncExternalStore`. */
  readonly getView = (): View => this.view;

  /** For `useSyncExternalStore`. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    if (!this.port) this.open();
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size > 0) return;
      this.port?.close();
      this.port = undefined;
    };
  };

  /** Asks. Without a connection the message waits, and leaves as soon as there is one. */
  submit(content: string): void {
    const text = content.trim();
    if (text !== '') this.post({ content: text, options: this.surroundings.options?.() });
  }

  /** Sends a refused message again, because the person said so. */
  resubmit(messageId: string): void {
    const item = this.refused.find((candidate) => candidate.messageId === messageId);
    this.refused = this.refused.filter((candidate) => candidate !== item);
    if (item) this.post(item);
  }

  /** Takes an unsent message back and gives its text, for the composer; nothing if it has left already. */
  withdraw(messageId: string): string | undefined {
    const item = this.view.outbox.find((candidate) => candidate.messageId === messageId);
    const wasRefused = this.refused.some((candidate) => candidate.messageId === messageId);
    if (!wasRefused && !this.port?.withdraw(messageId)) return undefined;
    this.refused = this.refused.filter((candidate) => candidate.messageId !== messageId);
    this.showOutbox();
    return item?.content;
  }

  /** Ends a run; without an argument the one that is going on. What was written stays. */
  stop(runId: string | undefined = this.view.active?.runId): void {
    if (runId === undefined) return;
    this.port?.stop(runId);
    this.stopAsked = runId;
    this.update({});
  }

  /** Agrees to a call, or refuses it. Without a connection nothing is said: it may be decided again when there is one. */
  decide(callId: string, approved: boolean): void {
    if (this.view.deciding.includes(callId) || !this.port?.decide(callId, approved)) return;
    this.update({ deciding: [...this.view.deciding, callId] });
  }

  /** Tries the connection now. */
  readonly reconnect = (): void => this.port?.retryNow();

  /** Takes a notice away. */
  dismiss(id: number): void {
    this.update({ conversation: dismissNotice(this.view.conversation, id) });
  }

  private open(): void {
    const left = this.view.outbox;
    this.refused = left.filter((item) => item.state === 'refused');
    const port = this.connect();
    this.port = port;
    port.subscribe({
      frame: (frame) => this.gather(frame),
      error: (error) => error.kind === 'shape' && this.gather(UNREADABLE),
      // Whether a decision has arrived is not known after a cut; what the server says next tells it.
      status: (connection) => this.port === port && this.update({ connection, ...(connection.state === 'online' ? {} : { deciding: [] }) }),
      outbox: (items) => {
        this.queued = items;
        this.schedule();
      },
    });
    // Of these we do not know whether they arrived; the same id keeps them from running twice.
    for (const item of left) if (item.state !== 'refused') this.post(item);
  }

  private post({ content, options, messageId }: { content: string; options?: MessageOptions | undefined; messageId?: string }): void {
    try {
      this.port?.send(content, { ...options, ...(messageId === undefined ? {} : { messageId }) });
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'The message could not be sent';
      this.refuse({ messageId: messageId ?? `unsent-${this.surroundings.now()}`, content, ...(options && { options }), state: 'refused', reason });
    }
    this.showOutbox();
  }

  private gather(frame: ServerFrame): void {
    this.pending.push(frame);
    this.schedule();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    this.surroundings.schedule(this.flush);
  }

  /** Applies what has gathered: an answered message leaves the outbox in the same frame in which its run appears. */
  private readonly flush = (): void => {
    this.scheduled = false;
    const frames = this.pending;
    this.pending = [];
    const rest = frames.filter((frame) => frame.type !== 'error' || !this.isRefusal(frame));
    this.showOutbox();
    if (rest.some((frame) => frame.type === 'error' && frame.field === 'call_id')) this.update({ deciding: [] });
    if (rest.length > 0) this.update({ conversation: reduce(this.view.conversation, rest) });
  };

  /** Moves the message that an error speaks of out of the queue; false if it speaks of none. */
  private isRefusal(frame: FrameOf<'error'>): boolean {
    if (frame.run_id !== undefined) return false;
    const hit = this.queued.find((item) => item.status === 'refused' && (frame.message_id ?? item.messageId) === item.messageId);
    if (!hit) return false;
    const retryAt = frame.retry_after_ms === undefined ? {} : { retryAt: this.surroundings.now() + frame.retry_after_ms };
    const { messageId, content, options } = hit;
    this.refuse({ messageId, content, ...(options && { options }), state: 'refused', reason: frame.content, ...retryAt });
    this.port?.withdraw(hit.messageId);
    return true;
  }

  private refuse(item: OutboxItem): void {
    this.refused = [...this.refused, item];
  }

  private showOutbox(): void {
    const queued = this.queued.filter((item) => item.status === 'queued' || item.status === 'sent').map(asShown);
    const outbox = [...this.refused, ...queued];
    const before = this.view.outbox;
    if (outbox.length === 0 && before.length === 0) return;
    saveOutbox(this.surroundings.storage, this.sessionId, outbox);
    this.update({ outbox });
  }

  private update(change: Partial<View>): void {
    const next = { ...this.view, ...change };
    const active = activeRun(next.conversation);
    if (this.stopAsked !== undefined && active?.runId !== this.stopAsked) this.stopAsked = undefined;
    const open = openApprovals(active).map((approval) => approval.callId);
    const deciding = next.deciding.every((callId) => open.includes(callId)) ? next.deciding : next.deciding.filter((callId) => open.includes(callId));
    this.view = { ...next, active, stopping: this.stopAsked !== undefined, deciding, caughtUp: isCaughtUp(next.conversation) };
    for (const listener of this.listeners) listener();
  }
}

function asShown({ messageId, content, options, status }: QueuedItem): OutboxItem {
  return { messageId, content, ...(options && { options }), state: status === 'sent' ? 'sent' : 'waiting' };
}
