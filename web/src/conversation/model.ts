//! What a conversation is to the person who looks at it: runs, each a question with its answer.
//!
//! Values here are never changed in place; a changed run is a new object, so that a view can compare by identity.

import type { CanvasTrigger, Decided, Ending, ErrorCode, Source, Usage, Waiting } from './frames';

/** One use of a tool while answering. */
export interface ToolCall {
  readonly callId: string;
  readonly name: string;
  readonly arguments: unknown;
  readonly state: 'running' | 'done' | 'failed';
  /** JSON text, once the tool is done. */
  readonly result?: string;
  readonly durationMs?: number;
}

/** A step of the agent's graph. */
export interface Step {
  readonly name: string;
  /** When it began, in milliseconds since 1970 by the server's clock. */
  readonly beganAt: number;
}

/** A call that a person must agree to, and what became of it. */
export interface Approval {
  readonly callId: string;
  readonly tool: string;
  /** Exactly what the tool will be called with. */
  readonly arguments: unknown;
  readonly digest?: string;
  /** Until when it can be decided, in milliseconds since 1970. */
  readonly expiresAt?: number;
  readonly state: 'waiting' | Decided;
  readonly by?: string;
  readonly decidedAt?: string;
}

/** What went wrong, in words for the person. */
export interface Failure {
  readonly message: string;
  readonly code?: ErrorCode;
  readonly retryable: boolean;
  /** Under which the server's log knows it. */
  readonly traceId?: string;
}

/** A question that the server accepted, and everything that belongs to its answer. */
export interface Run {
  readonly runId: string;
  readonly question: string;
  readonly messageId?: string;
  readonly askedAt?: string;
  readonly status: Waiting | Ending;
  /** Places before it in the queue, while it waits. */
  readonly position?: number;
  readonly text: string;
  readonly reasoning: string;
  readonly tools: readonly ToolCall[];
  readonly steps: readonly Step[];
  readonly approvals: readonly Approval[];
  /** What the answer rests on; its mark `[1]` is the first. */
  readonly sources: readonly Source[];
  readonly diagram?: string;
  readonly trigger?: CanvasTrigger;
  readonly usage?: Usage;
  /** When the catalogue was read that the answer rests on, if it is no longer the newest. */
  readonly staleSince?: string;
  readonly failure?: Failure;
  readonly answeredAt?: string;
  /** The id that the server's list of messages has for the answer. */
  readonly answerId?: number;
  /** True when the run ended while the page was looking on, false when it came from history. */
  readonly live: boolean;
}

/** An error that belongs to no run and to no waiting message. */
export interface Notice {
  readonly id: number;
  readonly failure: Failure;
}

/** The conversation as the server has told it so far. */
export interface Conversation {
  /** The chat behind the session, once the server has said it. */
  readonly chatId?: string;
  /** Who deleted the chat, if somebody did. */
  readonly deletedBy?: string;
  readonly runs: readonly Run[];
  readonly notices: readonly Notice[];
  /** Highest sequence number that was applied. */
  readonly lastSeq: number;
  readonly epoch?: number;
  /** The history up to this number is still being replayed; null before the first `ready`. */
  readonly replayUntil: number | null;
}

/** A conversation of which nothing is known yet. */
export const emptyConversation: Conversation = { runs: [], notices: [], lastSeq: 0, replayUntil: null };

/** Whether the run is still to be answered. */
export function isOpen(run: Run): boolean {
  return run.status === 'queued' || run.status === 'running';
}

/** Whether everything that was said before this page came has arrived. */
export function isCaughtUp(conversation: Conversation): boolean {
  return conversation.replayUntil !== null && conversation.lastSeq >= conversation.replayUntil;
}

/** Calls of the run about which somebody is asked right now. */
export function openApprovals(run: Run | undefined): readonly Approval[] {
  return run?.approvals.filter((approval) => approval.state === 'waiting') ?? [];
}

/** The run that is being answered now, or else the first that waits. */
export function activeRun(conversation: Conversation): Run | undefined {
  const open = conversation.runs.filter(isOpen);
  return open.find((run) => run.status === 'running') ?? open[0];
}
