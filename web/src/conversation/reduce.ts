//! Frames in, conversation out. A pure function, so that replay, resets and duplicates can be tested as data.
//!
//! Every frame may arrive a second time after a reconnect; a frame that lies before what was applied is dropped, and
//! a frame at the same position changes nothing that it had not changed already.

import { asDecided, asEnding, asWaiting, type FrameOf, type ServerFrame, type Waiting } from './frames';
import { isOpen, type Approval, type Conversation, type Failure, type Notice, type Run, type ToolCall } from './model';

/** Applies frames in order and gives the conversation after the last one; unchanged runs keep their identity. */
export function reduce(conversation: Conversation, frames: readonly ServerFrame[]): Conversation {
  const draft = new Draft(conversation);
  for (const frame of frames) draft.apply(frame);
  return draft.finish();
}

/** Takes one notice away, because the person has read it. */
export function dismissNotice(conversation: Conversation, id: number): Conversation {
  return { ...conversation, notices: conversation.notices.filter((notice) => notice.id !== id) };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** One batch of changes. Each touched run is copied once a batch, not once a frame. */
class Draft {
  private runs: Run[];
  private notices: readonly Notice[];
  private lastSeq: number;
  private epoch: number | undefined;
  private replayUntil: number | null;
  private chatId: string | undefined;
  private deletedBy: string | undefined;
  private readonly touched = new Map<string, Mutable<Run>>();

  constructor(before: Conversation) {
    this.chatId = before.chatId;
    this.deletedBy = before.deletedBy;
    this.runs = [...before.runs];
    this.notices = before.notices;
    this.lastSeq = before.lastSeq;
    this.epoch = before.epoch;
    this.replayUntil = before.replayUntil;
  }

  finish(): Conversation {
    const { runs, notices, lastSeq, epoch, replayUntil, chatId, deletedBy } = this;
    return {
      runs, notices, lastSeq, replayUntil,
      ...(epoch === undefined ? {} : { epoch }),
      ...(chatId === undefined ? {} : { chatId }),
      ...(deletedBy === undefined ? {} : { deletedBy }),
    };
  }

  apply(frame: ServerFrame): void {
    if (frame.type === 'ready') return this.ready(frame);
    const seq = 'seq' in frame ? frame.seq : undefined;
    if (seq !== undefined && seq < this.lastSeq && frame.type !== 'user') return;
    this.dispatch(frame, seq !== undefined && seq > this.lastSeq);
    if (seq !== undefined) this.lastSeq = Math.max(this.lastSeq, seq);
  }

  private dispatch(frame: Exclude<ServerFrame, FrameOf<'ready'>>, isNew: boolean): void {
    switch (frame.type) {
      case 'user':
        return this.user(frame);
      case 'agent_partial':
        return this.partial(frame, isNew);
      case 'reasoning':
        if (isNew) this.edit(frame.run_id).reasoning += frame.delta;
        return;
      case 'run':
        return this.run(frame);
      case 'tool_call':
        return this.toolCall(frame);
      case 'tool':
        return this.tool(frame);
      case 'step':
        return this.step(frame, isNew);
      case 'sources':
        this.edit(frame.run_id).sources = frame.sources;
        return;
      case 'approval':
        return this.approval(frame, isNew);
      case 'message':
        return this.imported(frame);
      case 'deleted':
        this.deletedBy = frame.by;
        return;
      case 'agent':
        return this.agent(frame);
      case 'error':
        return this.error(frame);
      case 'unknown':
        // A newer server may say more than this page understands; what it does understand stays true.
        return;
    }
  }

  private ready(frame: FrameOf<'ready'>): void {
    if (frame.reset) {
      this.runs = [];
      this.touched.clear();
      this.lastSeq = 0;
    }
    this.epoch = frame.epoch;
    this.chatId = frame.chat_id;
    this.replayUntil = frame.last_seq;
    if (frame.run && this.has(frame.run.run_id)) this.setOpen(frame.run.run_id, asWaiting(frame.run.status));
  }

  /** The echo of a question. A second echo of the same run adds nothing. */
  private user(frame: FrameOf<'user'>): void {
    if (this.has(frame.run_id) && this.find(frame.run_id).question !== '') return;
    const run = this.edit(frame.run_id);
    run.question = frame.content;
    run.askedAt = frame.timestamp;
    if (frame.message_id !== undefined) run.messageId = frame.message_id;
  }

  private partial(frame: FrameOf<'agent_partial'>, isNew: boolean): void {
    const run = this.edit(frame.run_id);
    if (!isOpen(run)) return;
    run.status = 'running';
    if (frame.content !== undefined) run.text = frame.content;
    else if (isNew) run.text += frame.delta ?? '';
  }

  private run(frame: FrameOf<'run'>): void {
    this.setOpen(frame.run_id, asWaiting(frame.status));
    const run = this.edit(frame.run_id);
    if (frame.position === undefined) delete run.position;
    else run.position = frame.position;
  }

  private toolCall(frame: FrameOf<'tool_call'>): void {
    const run = this.edit(frame.run_id);
    if (run.tools.some((tool) => tool.callId === frame.call_id)) return;
    const call: ToolCall = { callId: frame.call_id, name: frame.tool_name, arguments: frame.arguments, state: 'running' };
    run.tools = [...run.tools, call];
  }

  private tool(frame: FrameOf<'tool'>): void {
    const run = this.edit(frame.run_id);
    const before = run.tools.find((tool) => tool.callId === frame.call_id);
    const done: ToolCall = {
      callId: frame.call_id,
      name: frame.tool_name,
      arguments: before?.arguments,
      state: frame.is_error ? 'failed' : 'done',
      result: frame.content,
      durationMs: frame.duration_ms,
    };
    run.tools = before ? run.tools.map((tool) => (tool === before ? done : tool)) : [...run.tools, done];
  }

  private step(frame: FrameOf<'step'>, isNew: boolean): void {
    const run = this.edit(frame.run_id);
    if (!isNew) return;
    if (isOpen(run)) run.status = 'running';
    run.steps = [...run.steps, { name: frame.name, beganAt: Date.parse(frame.timestamp) }];
  }

  /** A run that goes on after a restart asks again about the same call, with a new time. */
  private approval(frame: FrameOf<'approval'>, isNew: boolean): void {
    const run = this.edit(frame.run_id);
    const before = run.approvals.find((approval) => approval.callId === frame.call_id);
    if (before && !isNew) return;
    const next = before && asDecided(frame.state) ? { ...before, ...outcome(frame) } : toApproval(frame);
    run.approvals = before ? run.approvals.map((approval) => (approval === before ? next : approval)) : [...run.approvals, next];
  }

  /** A message of another chat: a question begins a run of its own, an answer belongs to the question before it. */
  private imported(frame: FrameOf<'message'>): void {
    const last = this.runs.at(-1);
    const unanswered = last?.runId.startsWith(IMPORTED) && last.text === '' ? last.runId : undefined;
    const own = `${IMPORTED}${frame.seq}`;
    const run = this.edit(frame.role === 'user' ? own : (unanswered ?? own));
    run.status = frame.status === undefined ? 'finished' : asEnding(frame.status);
    run.live = false;
    bring(run, frame);
    if (frame.role === 'user') {
      run.question = frame.content;
      run.askedAt = frame.timestamp;
    } else {
      run.text = frame.content;
      run.answeredAt = frame.timestamp;
    }
    run.answerId = frame.seq;
  }

  private agent(frame: FrameOf<'agent'>): void {
    const run = this.edit(frame.run_id);
    run.live = this.isLive();
    run.status = asEnding(frame.status);
    run.text = frame.content;
    run.reasoning = frame.reasoning ?? run.reasoning;
    run.tools = run.tools.map(endTool);
    run.approvals = run.approvals.map(endApproval);
    run.answerId = frame.seq;
    delete run.position;
    if (frame.diagram) run.diagram = frame.diagram;
    if (frame.canvas_trigger) run.trigger = frame.canvas_trigger;
    if (frame.usage) run.usage = frame.usage;
    if (frame.metrics?.is_stale) run.staleSince = frame.metrics.as_of ?? '';
    run.answeredAt = frame.timestamp;
  }

  /** An error of a run stays with its answer; an error of a waiting message is the outbox's business, not ours. */
  private error(frame: FrameOf<'error'>): void {
    if (frame.run_id !== undefined) {
      this.edit(frame.run_id).failure = toFailure(frame);
    } else if (frame.message_id === undefined && this.notices.at(-1)?.failure.message !== frame.content) {
      const id = (this.notices.at(-1)?.id ?? 0) + 1;
      this.notices = [...this.notices, { id, failure: toFailure(frame) }].slice(-3);
    }
  }

  private setOpen(runId: string, status: Waiting): void {
    const run = this.edit(runId);
    if (isOpen(run)) run.status = status;
  }

  private isLive(): boolean {
    return this.replayUntil !== null && this.lastSeq >= this.replayUntil;
  }

  private has(runId: string): boolean {
    return this.indexOf(runId) >= 0;
  }

  private find(runId: string): Run {
    return this.runs[this.indexOf(runId)] ?? this.edit(runId);
  }

  /** Searched from the end, because nearly every frame is about the newest run. */
  private indexOf(runId: string): number {
    return this.runs.findLastIndex((run) => run.runId === runId);
  }

  /** The run as something that this batch may change; a run not heard of before is added at the end. */
  private edit(runId: string): Mutable<Run> {
    const known = this.touched.get(runId);
    if (known) return known;
    const index = this.indexOf(runId);
    const before = this.runs[index];
    const copy: Mutable<Run> = before ? { ...before } : newRun(runId, this.runs.some(isOpen));
    if (before) this.runs[index] = copy;
    else this.runs.push(copy);
    this.touched.set(runId, copy);
    return copy;
  }
}

function newRun(runId: string, waits: boolean): Mutable<Run> {
  return { runId, question: '', status: waits ? 'queued' : 'running', text: '', reasoning: '', tools: [], steps: [], approvals: [], sources: [], live: false };
}

/** A tool that had not answered when its run ended will not answer any more. */
function endTool(tool: ToolCall): ToolCall {
  return tool.state === 'running' ? { ...tool, state: 'failed' } : tool;
}

/** What was shown with a message of another chat: it came with the answer, or with the question where there was none. */
function bring(run: Mutable<Run>, frame: FrameOf<'message'>): void {
  if (frame.status === undefined) return;
  run.sources = frame.sources ?? [];
  run.steps = (frame.steps ?? []).map((step) => ({ name: step.name, beganAt: Date.parse(step.timestamp) }));
  run.tools = (frame.tools ?? []).map(pastTool);
  run.approvals = (frame.approvals ?? []).map(pastApproval);
  run.reasoning = frame.reasoning ?? '';
  if (frame.diagram) run.diagram = frame.diagram;
  if (frame.canvas_trigger) run.trigger = frame.canvas_trigger;
  if (frame.metrics?.is_stale) run.staleSince = frame.metrics.as_of ?? '';
  if (frame.usage) run.usage = frame.usage;
  if (frame.error !== undefined) run.failure = { message: frame.error, retryable: true };
}

type Past<T extends 'tools' | 'approvals'> = NonNullable<FrameOf<'message'>[T]>[number];

function pastTool({ call_id, tool_name, arguments: given, content, duration_ms, is_error }: Past<'tools'>): ToolCall {
  return {
    callId: call_id,
    name: tool_name,
    arguments: given,
    state: is_error || content === undefined ? 'failed' : 'done',
    ...(content === undefined ? {} : { result: content }),
    ...(duration_ms === undefined ? {} : { durationMs: duration_ms }),
  };
}

function pastApproval({ call_id, tool_name, arguments: given, digest, state, by, timestamp }: Past<'approvals'>): Approval {
  return { callId: call_id, tool: tool_name, arguments: given, digest, state: asDecided(state) ?? 'expired', decidedAt: timestamp, ...(by === undefined ? {} : { by }) };
}

/** Runs that another chat had begin with this. */
const IMPORTED = 'imported-';

function toApproval(frame: FrameOf<'approval'>): Approval {
  const { call_id, tool_name, digest, expires_at } = frame;
  return {
    callId: call_id,
    tool: tool_name ?? '',
    arguments: frame.arguments,
    ...(digest === undefined ? {} : { digest }),
    ...(expires_at === undefined ? {} : { expiresAt: Date.parse(expires_at) }),
    ...outcome(frame),
  };
}

function outcome({ state, by, timestamp }: FrameOf<'approval'>): Pick<Approval, 'state' | 'by' | 'decidedAt'> {
  const decided = asDecided(state);
  return decided ? { state: decided, decidedAt: timestamp, ...(by === undefined ? {} : { by }) } : { state: 'waiting' };
}

/** Nobody can decide about a call of a run that is over. */
function endApproval(approval: Approval): Approval {
  return approval.state === 'waiting' ? { ...approval, state: 'expired' } : approval;
}

/** The words and the chances of an error frame. */
export function toFailure(frame: FrameOf<'error'>): Failure {
  const failure: Failure = { message: frame.content, code: frame.code, retryable: frame.retryable ?? true };
  return frame.trace_id === undefined ? failure : { ...failure, traceId: frame.trace_id };
}
