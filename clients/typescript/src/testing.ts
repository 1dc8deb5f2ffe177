//! A server in memory that speaks `session_chat` from a script, for tests and for working on a page.
//!
//! It keeps each session's log, answers from it after a reconnect, runs each message id once, and queues. It can be
//! told to cut, close, refuse and restart. It knows no tools, no models and no other dialect.

import { systemClock, type Clock, type Transport } from "@tidewire/schematic-runtime";
import { memoryTransport, type MemoryPeer } from "@tidewire/schematic-runtime/testing";

export { ManualClock, memoryTransport, settled } from "@tidewire/schematic-runtime/testing";

/** One thing that happens while an answer is written. */
export type Step =
  /** A piece of the answer. */
  | { readonly text: string }
  | { readonly reasoning: string }
  | { readonly tool: string; readonly arguments?: unknown; readonly result: unknown; readonly isError?: boolean }
  | { readonly wait_ms: number }
  | { readonly step: string }
  | { readonly sources: readonly Record<string, unknown>[] }
  /** A call that waits until somebody decides; a stop of the run ends the waiting, too. */
  | { readonly ask: string; readonly arguments?: unknown; readonly result: unknown }
  /** Members of the final `agent` frame, such as `diagram` or `canvas_trigger`. */
  | { readonly final: Record<string, unknown> }
  /** Ends the run with an error. */
  | { readonly fail: { readonly content: string; readonly code: string; readonly retryable?: boolean } };

/** What the server is made from. */
export interface MemoryServerOptions {
  /** The steps that answer a message. */
  readonly answer: (content: string) => readonly Step[];
  /** Time between two steps, in milliseconds. */
  readonly step_ms?: number;
  /** Most messages that wait behind a run. */
  readonly queue?: number;
  /** How far a resume goes back behind the number that was asked for, as a careless server would. */
  readonly overlap?: number;
  readonly clock?: Clock;
  /** Gives the time in `timestamp`, as RFC 3339. */
  readonly timestamp?: () => string;
}

type Body = Record<string, unknown>;

interface Run {
  readonly runId: string;
  readonly messageId: string | undefined;
  readonly steps: Step[];
  final: Body;
  text: string;
  /** The number of the newest piece of text; 0 before there is one. */
  textSeq: number;
  stopped: boolean;
  /** The call about which a person is asked. */
  asking: { readonly callId: string; decided(approved: boolean, by: string): void } | undefined;
}

interface Entry {
  readonly seq: number;
  readonly body: Body;
  /** A second frame that tells the same; it has no number. */
  readonly also?: Body;
  /** The run whose end removes it. */
  readonly until?: Run;
}

interface Reader {
  readonly peer: MemoryPeer;
  delta: boolean;
}

/** A server with any number of sessions. */
export class MemoryServer {
  /** Give this to `SessionChat`. */
  readonly transport: Transport;
  readonly options: Required<MemoryServerOptions>;
  readonly #sessions = new Map<string, Session>();
  #refusing: { readonly code: number; readonly reason: string } | undefined;
  #offline = false;
  /** How many links were opened. */
  links = 0;

  constructor(options: MemoryServerOptions) {
    this.options = { step_ms: 10, queue: 20, overlap: 0, clock: systemClock, timestamp: () => new Date().toISOString(), ...options };
    this.transport = memoryTransport((peer) => this.#serve(peer));
  }

  /** Every message that the clients have sent, oldest first. */
  readonly received: Body[] = [];

  #serve(peer: MemoryPeer): void {
    this.links += 1;
    if (this.#offline) return peer.cut();
    const id = decodeURIComponent(new URL(peer.request.url).pathname.split("/").at(-1) ?? "");
    peer.accept();
    if (this.#refusing) return peer.close(this.#refusing.code, this.#refusing.reason);
    if (!/^[A-Za-z0-9._-]{1,128}$/.test(id)) return peer.close(4001, "Invalid session");
    this.session(id).join(peer, (frame) => void this.received.push(frame));
  }

  /** The session with this id; opened if it is not there. */
  session(id: string): Session {
    const session = this.#sessions.get(id) ?? new Session(id, this.options);
    this.#sessions.set(id, session);
    return session;
  }

  /** Cuts every link without a word. */
  cut(): void {
    for (const session of this.#sessions.values()) session.leave((peer) => peer.cut());
  }

  /** Closes every link. */
  close(code: number, reason = ""): void {
    for (const session of this.#sessions.values()) session.leave((peer) => peer.close(code, reason));
  }

  /** Whether links can be opened at all; going offline cuts those that are open. */
  set offline(offline: boolean) {
    this.#offline = offline;
    if (offline) this.cut();
  }

  /** Closes each new link with this code; `undefined` accepts again. */
  refuse(code: number | undefined, reason = ""): void {
    this.#refusing = code === undefined ? undefined : { code, reason };
  }

  /** Forgets the tail of every log, as a loss of power does: clients get the history anew. */
  loseTail(): void {
    for (const session of this.#sessions.values()) session.loseTail();
  }
}

/** One session: a log, its readers, and the run that goes on. */
export class Session {
  readonly #id: string;
  readonly #options: Required<MemoryServerOptions>;
  readonly #peers = new Set<MemoryPeer>();
  /** Those that have spoken; nobody is told anything before. */
  readonly #readers = new Set<Reader>();
  readonly #echoes = new Map<string, Body>();
  #log: Entry[] = [];
  #seq = 0;
  #epoch = 1;
  #runs = 0;
  #running: Run | undefined;
  #waiting: Run[] = [];

  constructor(id: string, options: Required<MemoryServerOptions>) {
    this.#id = id;
    this.#options = options;
  }

  /** How many runs there were. */
  get runs(): number {
    return this.#runs;
  }

  /** The final frames of the runs that are over, oldest first. */
  get answers(): Body[] {
    return this.#log.map((entry) => entry.body).filter((body) => body["type"] === "agent");
  }

  /** Takes a new link in; `heard` is called for each frame of the client. */
  join(peer: MemoryPeer, heard: (frame: Body) => void): void {
    const reader: Reader = { peer, delta: false };
    this.#peers.add(peer);
    peer.onframe = (frame) => {
      const body = JSON.parse(String(frame)) as Body;
      heard(body);
      this.#hear(reader, body);
    };
    peer.onclosed = () => {
      this.#peers.delete(peer);
      this.#readers.delete(reader);
    };
  }

  /** Ends every link of the session. */
  leave(how: (peer: MemoryPeer) => void): void {
    for (const peer of [...this.#peers]) how(peer);
    this.#peers.clear();
    this.#readers.clear();
  }

  /** Cuts the links and begins a new epoch. */
  loseTail(): void {
    this.leave((peer) => peer.cut());
    this.#epoch += 1;
  }

  /** Sends a ping to everybody. */
  ping(): void {
    for (const reader of this.#readers) send(reader, { type: "ping" });
  }

  // What the client says

  #hear(reader: Reader, body: Body): void {
    if (body["partials"] !== undefined) reader.delta = body["partials"] === "delta";
    if (typeof body["content"] === "string") {
      if (body["after_seq"] !== undefined) this.#resume(reader, body);
      this.#accept(reader, body["content"], body["message_id"] as string | undefined);
    } else if (body["stop"] !== undefined) this.#stop(body["run_id"] as string | undefined);
    else if (body["after_seq"] !== undefined) this.#resume(reader, body);
    else if (body["type"] === "decide") this.#decide(reader, body);
    else if (body["type"] !== "pong") send(reader, EMPTY);
    this.#readers.add(reader);
  }

  #resume(reader: Reader, body: Body): void {
    const reset = body["epoch"] !== undefined && body["epoch"] !== this.#epoch;
    const after = reset ? 0 : Number(body["after_seq"]) - this.#options.overlap;
    const run = this.#running;
    if (reader.delta) {
      const ready = { type: "ready", session_id: this.#id, chat_id: `chat-${this.#id}`, epoch: this.#epoch, last_seq: this.#seq, reset };
      send(reader, { ...ready, run: run ? { run_id: run.runId, status: "running" } : null });
    }
    const missed: Entry[] = this.#log.filter((entry) => entry.seq > after && entry.body["type"] !== "agent_partial");
    if (run && run.textSeq > after) missed.push({ seq: run.textSeq, body: whole(run) });
    missed.sort((a, b) => a.seq - b.seq);
    for (const entry of missed) sendEntry(reader, entry);
  }

  #accept(reader: Reader, content: string, messageId: string | undefined): void {
    if (content.trim() === "") return send(reader, EMPTY);
    const echo = messageId === undefined ? undefined : this.#echoes.get(messageId);
    if (echo) return send(reader, echo);
    if (this.#waiting.length >= this.#options.queue) return send(reader, { ...LIMITED, message_id: messageId });
    this.#readers.add(reader);
    this.#begin(content, messageId);
  }

  #begin(content: string, messageId: string | undefined): void {
    this.#runs += 1;
    const runId = `${this.#id}-run-${this.#runs}`;
    const run: Run = { runId, messageId, steps: [...this.#options.answer(content)], final: {}, text: "", textSeq: 0, stopped: false, asking: undefined };
    const echo = this.#tell({ type: "user", content, message_id: messageId, run_id: runId, timestamp: this.#options.timestamp() });
    if (messageId !== undefined) this.#echoes.set(messageId, echo);
    this.#waiting.push(run);
    if (this.#running) this.#tell({ type: "run", run_id: runId, status: "queued", position: this.#waiting.length }, run);
    else this.#next();
  }

  #stop(runId: string | undefined): void {
    const queued = this.#waiting.findIndex((run) => run.runId === runId);
    const [run] = queued < 0 ? [] : this.#waiting.splice(queued, 1);
    if (run) this.#over(run, "stopped");
    else if (this.#running && (runId ?? this.#running.runId) === this.#running.runId) {
      this.#running.stopped = true;
      this.#running.asking?.decided(false, "system");
    }
  }

  #decide(reader: Reader, body: Body): void {
    const asking = this.#running?.asking;
    if (asking && asking.callId === body["call_id"]) asking.decided(body["approved"] === true, "local");
    else send(reader, TOO_LATE);
  }

  // What the agent does

  #next(): void {
    const run = this.#waiting.shift();
    this.#running = run;
    if (!run) return;
    this.#tell({ type: "run", run_id: run.runId, status: "running" }, run);
    this.#later(run, 0);
  }

  #later(run: Run, wait_ms: number): void {
    this.#options.clock.after(this.#options.step_ms + wait_ms, () => this.#step(run));
  }

  #step(run: Run): void {
    const step = run.stopped ? undefined : run.steps.shift();
    if (!step) return this.#end(run, run.stopped ? "stopped" : "finished");
    if ("fail" in step) return this.#failed(run, step.fail);
    if ("text" in step) this.#text(run, step.text);
    else if ("reasoning" in step) this.#tell({ type: "reasoning", delta: step.reasoning, run_id: run.runId }, run);
    else if ("tool" in step) this.#tool(run, step);
    else if ("ask" in step) return this.#ask(run, step);
    else if ("step" in step) this.#tell({ type: "step", name: step.step, run_id: run.runId, timestamp: this.#options.timestamp() });
    else if ("sources" in step) this.#tell({ type: "sources", sources: step.sources, run_id: run.runId });
    else if ("final" in step) run.final = { ...run.final, ...step.final };
    this.#later(run, "wait_ms" in step ? step.wait_ms : 0);
  }

  #text(run: Run, text: string): void {
    run.text += text;
    run.textSeq = this.#seq += 1;
    for (const reader of this.#readers) {
      const delta = { type: "agent_partial", delta: text, run_id: run.runId, seq: run.textSeq };
      send(reader, reader.delta ? delta : whole(run));
    }
  }

  #tool(run: Run, step: Extract<Step, { tool: string }>): void {
    const call = { tool_name: step.tool, call_id: `${run.runId}-call-${this.#seq}`, run_id: run.runId };
    this.#tell({ type: "tool_call", ...call, arguments: step.arguments ?? {} }, run);
    const error = step.isError ? { is_error: true } : {};
    this.#tell({ type: "tool", ...call, content: JSON.stringify(step.result), duration_ms: 12, ...error });
  }

  #ask(run: Run, step: Extract<Step, { ask: string }>): void {
    const callId = `${run.runId}-call-${this.#seq}`;
    const call = { tool_name: step.ask, call_id: callId, run_id: run.runId };
    const asked = { ...call, arguments: step.arguments ?? {} };
    this.#tell({ type: "tool_call", ...asked }, run);
    const timestamp = this.#options.timestamp;
    const expires_at = new Date(Date.parse(timestamp()) + 300_000).toISOString();
    this.#tell({ type: "approval", ...asked, state: "requested", digest: "0".repeat(64), expires_at, timestamp: timestamp() });
    run.asking = {
      callId,
      decided: (approved, by) => {
        run.asking = undefined;
        const outcome = by === "system" ? { state: "expired" } : { state: approved ? "approved" : "refused", by };
        this.#tell({ type: "approval", call_id: callId, run_id: run.runId, ...outcome, timestamp: timestamp() });
        const content = approved ? JSON.stringify(step.result) : '{"error":"nobody agreed to this call"}';
        this.#tell({ type: "tool", ...call, content, duration_ms: 12, ...(approved ? {} : { is_error: true }) });
        this.#later(run, 0);
      },
    };
  }

  #failed(run: Run, error: Body): void {
    this.#over(run, "failed", { type: "error", ...error, run_id: run.runId });
    this.#next();
  }

  #end(run: Run, status: string): void {
    this.#over(run, status);
    this.#next();
  }

  #over(run: Run, status: string, also?: Body): void {
    const usage = { input_tokens: 100, output_tokens: run.text.length };
    // The pieces collapse into the whole answer, as in a real log.
    this.#log = this.#log.filter((entry) => entry.until !== run);
    if (this.#running === run) this.#running = undefined;
    const body = { type: "agent", content: run.text, diagram: null, ...run.final, status, usage, run_id: run.runId };
    this.#tell({ ...body, timestamp: this.#options.timestamp() }, undefined, also);
  }

  /** Appends to the log and sends to every reader. */
  #tell(body: Body, until?: Run, also?: Body): Body {
    const seq = (this.#seq += 1);
    const entry = { seq, body: { ...body, seq }, ...(until ? { until } : {}), ...(also ? { also } : {}) };
    this.#log.push(entry);
    for (const reader of this.#readers) sendEntry(reader, entry);
    return entry.body;
  }
}

/** Frames that only those get who asked for deltas. */
const OURS = new Set(["run", "tool_call", "reasoning", "ready", "step", "sources", "approval"]);
const TOO_LATE: Body = {
  type: "error",
  content: "This call does not wait any more: it was decided, or its time is over",
  code: "VALIDATION_ERROR",
  field: "call_id",
  retryable: false,
};
const EMPTY: Body = { type: "error", content: "Empty message", code: "VALIDATION_ERROR", field: "content" };
const LIMITED: Body = { type: "error", content: "Too many messages wait, try again later", code: "RATE_LIMITED", retry_after_ms: 3_000, retryable: true };

function whole(run: Run): Body {
  return { type: "agent_partial", content: run.text, run_id: run.runId, seq: run.textSeq };
}

function sendEntry(reader: Reader, { body, also }: Entry): void {
  if (!reader.delta && OURS.has(String(body["type"]))) return;
  send(reader, body);
  if (also) send(reader, also);
}

function send(reader: Reader, body: Body): void {
  reader.peer.send(JSON.stringify(body));
}
