//! One conversation with an agent, kept over any number of connections.
//!
//! It knows where the conversation stands, asks for what was missed after each connection, and sends again what
//! the server has not confirmed. It shows each frame once. What the frames mean to a reader, and what a page does
//! with them, is left to whoever listens.

import {
  SchematicError,
  type Clock,
  type Connection,
  type ConnectionPolicy,
  type ConnectionState,
  type Outgoing,
  type Target,
  type Transport,
  type Wake,
} from "@tidewire/schematic-runtime";
import {
  SessionClient,
  type Agent,
  type AgentPartial,
  type Approval,
  type ClientMessage,
  type Deleted,
  type Error as ErrorBody,
  type Message,
  type Ready,
  type Reasoning,
  type Run,
  type SendMessage,
  type ServerMessage,
  type Sources,
  type Step,
  type Tool,
  type ToolCall,
  type User,
} from "./generated/session_chat.js";
import { Outbox } from "./outbox.js";
import { asStatus, withTicket, type LinkStatus } from "./link.js";
import { Timeline } from "./timeline.js";

/** What the server says, as one flat object a frame; `type` tells them apart. */
export type ChatFrame =
  | ({ readonly type: "user" } & User)
  | ({ readonly type: "agent_partial" } & AgentPartial)
  | ({ readonly type: "tool" } & Tool)
  | ({ readonly type: "agent" } & Agent)
  | ({ readonly type: "error" } & ErrorBody)
  | ({ readonly type: "ready" } & Ready)
  | ({ readonly type: "run" } & Run)
  | ({ readonly type: "tool_call" } & ToolCall)
  | ({ readonly type: "reasoning" } & Reasoning)
  | ({ readonly type: "step" } & Step)
  | ({ readonly type: "sources" } & Sources)
  | ({ readonly type: "approval" } & Approval)
  | ({ readonly type: "message" } & Message)
  | ({ readonly type: "deleted" } & Deleted)
  /** Something that this version does not know, as it came. */
  | { readonly type: "unknown"; readonly tag?: string; readonly raw: string | Uint8Array };

/** How things stand with the connection. */
export type ChatStatus = LinkStatus;

/** Where a message is: waiting here, under way, confirmed by the server, or refused by it. */
export type OutboxStatus = "queued" | "sent" | "delivered" | "refused";

/** What is special about one message. */
export interface MessageOptions {
  /** Which model answers; one of those that the server lists. */
  readonly model?: string;
  /** Which agent answers. */
  readonly agent?: string;
  /** Tools of the server that a person must agree to before each call. */
  readonly confirmTools?: readonly string[];
}

/** What `send` takes beside the text. */
export interface SendOptions extends MessageOptions {
  /** Under which id it is sent; a new one without it. */
  readonly messageId?: string;
}

/** A message on its way to the server. */
export interface OutboxItem {
  readonly messageId: string;
  readonly content: string;
  readonly status: OutboxStatus;
  /** What is special about it, if something is. */
  readonly options?: MessageOptions;
}

/** What a conversation tells its listeners. Each member may be left out. */
export interface ChatListener {
  /** A frame arrived; none comes twice, except that a `user` frame may repeat when it confirms a message. */
  frame?(frame: ChatFrame): void;
  /** The connection changed; called once with how it is when the subscription begins. */
  status?(status: ChatStatus): void;
  /** The list of messages that are not delivered changed, or one of them was just delivered. */
  outbox?(items: readonly OutboxItem[]): void;
  /** Something was wrong that the conversation survives, such as a frame that cannot be read. */
  error?(error: SchematicError): void;
}

/** The place in a conversation from which it goes on. */
export interface ChatPosition {
  /** The highest sequence number that was seen; 0 is the beginning. */
  readonly seq: number;
  /** The epoch that the number belongs to. */
  readonly epoch?: number;
}

/** What a conversation is made from. One of `url` and `baseUrl` is needed. */
export interface SessionChatOptions {
  /** The whole address of the socket, session id included. */
  readonly url?: string;
  /** The address of the server, `http(s)` or `ws(s)`; `/ws/{sessionId}` is appended to it. */
  readonly baseUrl?: string;
  readonly sessionId: string;
  /**
   * Obtains a ticket before every attempt; `undefined` where none is needed. A `SchematicError` of kind `auth` ends
   * the attempts with status `refused`; other errors are tried again.
   */
  readonly ticket?: () => Promise<string | undefined>;
  /** Headers of the upgrade request; only outside of browsers. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Where to go on; without it, from the beginning. */
  readonly position?: ChatPosition;
  /** What is different from the usual about reconnecting, queues and time limits. */
  readonly policy?: Partial<ConnectionPolicy>;
  /** Makes the ids of messages; unique for ever. */
  readonly newId?: () => string;
  readonly transport?: Transport;
  readonly clock?: Clock;
  readonly wake?: Wake;
}

/** A conversation. Nothing happens before the first `subscribe` or `connect`. */
export class SessionChat {
  readonly sessionId: string;
  readonly #connection: Connection<ServerMessage, ClientMessage>;
  readonly #outbox: Outbox;
  readonly #timeline: Timeline;
  readonly #listeners = new Set<ChatListener>();
  /** Runs that were asked to stop and have not ended; asked again after a reconnect, which does no harm. */
  readonly #stopping = new Set<string>();
  #runId: string | undefined;
  #status: ChatStatus = { state: "idle" };

  constructor(options: SessionChatOptions) {
    this.sessionId = options.sessionId;
    this.#timeline = new Timeline(options.position);
    this.#outbox = new Outbox(options.newId ?? randomId, () => this.#tellOutbox());
    const { transport, clock, wake, policy } = options;
    const client = new SessionClient(
      { session_id: options.sessionId },
      { target: () => target(options), opening: () => this.#opening(), transport, clock, wake, policy },
    );
    this.#connection = client.connection;
    this.#connection.on("message", (message) => this.#message(message));
    this.#connection.on("sent", () => this.#outbox.refresh());
    this.#connection.on("state", (state) => this.#state(state));
    this.#connection.on("error", (error) => this.#tell((listener) => listener.error?.(error)));
  }

  /** How things stand with the connection. */
  get status(): ChatStatus {
    return this.#status;
  }

  /** Messages that are not delivered, oldest first. */
  get outbox(): readonly OutboxItem[] {
    return this.#outbox.items();
  }

  /** The place that was reached; given to another conversation, it goes on from here. */
  get position(): ChatPosition {
    return this.#timeline.position;
  }

  /** The run that goes on, as far as the server has said. */
  get runId(): string | undefined {
    return this.#runId;
  }

  /** Begins to connect. Does nothing where it already goes on. */
  connect(): void {
    this.#connection.open();
  }

  /** Tells `listener` what happens from now on, and connects. The function that comes back ends the subscription. */
  subscribe(listener: ChatListener): () => void {
    this.#listeners.add(listener);
    listener.status?.(this.#status);
    if (this.#status.state === "idle") this.connect();
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Queues a message and gives its id. A known id that is not delivered is not queued twice; one that was refused
   * is sent again. Throws when the message is empty or too large, the queue is full, or the conversation closed.
   */
  send(content: string, { messageId, ...options }: SendOptions = {}): string {
    if (content.trim() === "") throw new SchematicError("shape", "Write something before sending");
    if (this.#status.state === "closed") throw new SchematicError("closed", "Begin a new conversation: this one is closed");
    return this.#outbox.add({ content, options }, messageId, (body) => this.#say(body));
  }

  #say(body: SendMessage): Outgoing<ClientMessage> | undefined {
    // A refused connection takes nothing; the opening after `retryNow` sends what is left.
    if (this.#status.state === "refused") return undefined;
    return this.#connection.send({ name: "SendMessage", body });
  }

  /**
   * Agrees to a call that waits for a person, or refuses it. False without a connection: a decision is not kept, so that
   * none is sent that the person may have thought better of. What became of it comes as an `approval` frame.
   */
  decide(callId: string, approved: boolean): boolean {
    if (this.#status.state !== "online") return false;
    this.#connection.send({ name: "Decide", body: { call_id: callId, approved } });
    return true;
  }

  /** Takes a message back; false if it was sent already. One that was refused is forgotten. */
  withdraw(messageId: string): boolean {
    return this.#outbox.withdraw(messageId);
  }

  /** Stops a run, running or queued; without an id, the one that goes on. It holds over a reconnect. */
  stop(runId: string | undefined = this.#runId): void {
    if (runId !== undefined) this.#stopping.add(runId);
    if (this.#status.state !== "online") return;
    this.#connection.send({ name: "Stop", body: runId === undefined ? { stop: true } : { stop: true, run_id: runId } });
  }

  /** Connects now instead of at the end of the delay, and also after it gave up or was refused. */
  retryNow(): void {
    if (this.#status.state !== "closed") this.#connection.tryNow();
  }

  /** Ends the connection and gives back what was not delivered. The run on the server goes on. */
  close(): readonly OutboxItem[] {
    const left = this.outbox;
    this.#setStatus({ state: "closed" });
    this.#connection.close();
    return left;
  }

  /** The frames from now on, for `for await`; ends with the conversation. */
  async *frames(): AsyncGenerator<ChatFrame, void, undefined> {
    const waiting: ChatFrame[] = [];
    let wake = (): void => undefined;
    const off = this.subscribe({
      frame: (frame) => (waiting.push(frame), wake()),
      status: () => wake(),
    });
    try {
      while (waiting.length > 0 || this.#status.state !== "closed") {
        const frame = waiting.shift();
        if (frame) yield frame;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      off();
    }
  }

  // What is said first on each connection

  #opening(): ClientMessage[] {
    const { seq, epoch } = this.#timeline.begin();
    const resume = { after_seq: seq, partials: "delta", ...(epoch === undefined ? {} : { epoch }) };
    const stops = [...this.#stopping].map((run_id): ClientMessage => ({ name: "Stop", body: { stop: true, run_id } }));
    return [{ name: "Resume", body: resume }, ...stops, ...this.#outbox.unconfirmed()];
  }

  // What is heard

  #message(message: ServerMessage): void {
    const frame = asFrame(message);
    const confirms = frame.type === "user" && this.#outbox.deliver(frame.message_id);
    if (frame.type === "ready") this.#timeline.ready(frame);
    else if (!this.#timeline.isNew(frame) && !confirms) return;
    if (frame.type === "error") this.#refused(frame);
    this.#followRun(frame);
    this.#tell((listener) => listener.frame?.(frame));
  }

  #refused(error: ErrorBody): void {
    if (error.run_id === undefined) this.#outbox.refuse(error.message_id, error.code === "RATE_LIMITED");
  }

  #followRun(frame: ChatFrame): void {
    if (frame.type === "ready") this.#runId = frame.run?.status === "running" ? frame.run.run_id : undefined;
    else if (frame.type === "run" && frame.status === "running") this.#runId = frame.run_id;
    else if (frame.type === "agent_partial" || frame.type === "tool_call" || frame.type === "step") this.#runId = frame.run_id;
    else if (frame.type === "agent") this.#runOver(frame.run_id);
  }

  #runOver(runId: string): void {
    this.#stopping.delete(runId);
    if (this.#runId === runId) this.#runId = undefined;
  }

  // What listeners are told

  #state(state: ConnectionState): void {
    if (this.#status.state === "closed") return;
    const status = asStatus(state);
    if (status) this.#setStatus(status);
    if (state.status === "closed") this.#outbox.refresh();
  }

  #setStatus(status: ChatStatus): void {
    this.#status = status;
    this.#tell((listener) => listener.status?.(status));
  }

  #tellOutbox(): void {
    const items = this.outbox;
    this.#tell((listener) => listener.outbox?.(items));
  }

  #tell(say: (listener: ChatListener) => void): void {
    for (const listener of [...this.#listeners]) say(listener);
  }
}

async function target(options: SessionChatOptions): Promise<Target> {
  return withTicket(address(options), options);
}

function address({ url, baseUrl, sessionId }: SessionChatOptions): string {
  if (url !== undefined) return url;
  if (baseUrl === undefined) throw new SchematicError("connect", "Give the conversation an `url` or a `baseUrl`");
  return `${baseUrl.replace(/\/+$/, "")}/ws/${encodeURIComponent(sessionId)}`;
}

function randomId(): string {
  // `randomUUID` is missing in pages that are not served securely; random bytes are always there.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function asFrame(message: ServerMessage): ChatFrame {
  switch (message.name) {
    case "User":
      return { type: "user", ...message.body };
    case "AgentPartial":
      return { type: "agent_partial", ...message.body };
    case "Tool":
      return { type: "tool", ...message.body };
    case "Agent":
      return { type: "agent", ...message.body };
    case "Error":
      return { type: "error", ...message.body };
    case "Ready":
      return { type: "ready", ...message.body };
    case "Run":
      return { type: "run", ...message.body };
    case "ToolCall":
      return { type: "tool_call", ...message.body };
    case "Reasoning":
      return { type: "reasoning", ...message.body };
    case "Step":
      return { type: "step", ...message.body };
    case "Sources":
      return { type: "sources", ...message.body };
    case "Approval":
      return { type: "approval", ...message.body };
    case "Message":
      return { type: "message", ...message.body };
    case "Deleted":
      return { type: "deleted", ...message.body };
    case "Ping":
      return { type: "unknown", tag: "ping", raw: "" };
    case "Unknown":
      return { type: "unknown", raw: message.raw, ...(message.tag === undefined ? {} : { tag: message.tag }) };
  }
}

/** The text of an answer after another partial frame: `content` replaces it, `delta` is appended. */
export function withPartial(text: string, partial: AgentPartial): string {
  return partial.content ?? text + (partial.delta ?? "");
}
