//! Questions over one's own material, and their answers, over any number of connections.
//!
//! One socket carries any number of answers. When it is lost, each goes on after the last sequence number that it
//! saw: nothing is lost, nothing comes twice.

import { Connection, SchematicError, type Clock, type ConnectionState, type Transport, type Wake } from "@tidewire/schematic-runtime";
import { decodeServerMessage, encodeClientMessage, type ClientMessage, type ServerMessage } from "../generated/chat_service.js";
import { withTicket, type LinkCredentials } from "../link.js";
import { Answer, type First } from "./answer.js";
import { ChatServiceError, WebSocketCallbacks, call, type ChatEvent } from "./events.js";
import { checkNew, checkResume, type ChatRequest, type ResumeRequest } from "./request.js";

/** How the client keeps its connection. */
export interface WebSocketClientOptions extends LinkCredentials {
  /** Whether a lost connection is restored. Default: true */
  readonly autoReconnect?: boolean;
  /** Attempts in a row without success before it fails. Default: 5 */
  readonly maxReconnectAttempts?: number;
  /** Delay before the first attempt; each further one is half as long again, ± 15 %. Default: 1000 */
  readonly reconnectDelayMs?: number;
  /** Longest delay, ± 15 %. Default: 30000 */
  readonly maxReconnectDelayMs?: number;
  /** Makes names of chats and ids of messages; unique for ever. */
  readonly newId?: () => string;
  readonly transport?: Transport;
  readonly clock?: Clock;
  readonly wake?: Wake;
}

/** What the connection has been through. */
export interface Metrics {
  /** Attempts to connect. */
  readonly attempts: number;
  /** Those that succeeded. */
  readonly connects: number;
  /** Connections and attempts that were lost. */
  readonly errors: number;
  /** How long the last successful attempt took, in milliseconds. */
  readonly latencyMs: number;
  /** How long all successful ones took together, in milliseconds. */
  readonly totalLatencyMs: number;
  /** Answers that were taken up again on a new connection. */
  readonly resumes: number;
}

/** Which part of a delay is left to chance on each side. */
const CHANCE = 0.15;

/** The largest request, with room for what is put around it. */
const MAX_BYTES = (1 << 20) - 1024;

/** Time between two questions for a sign of life, and for the answer, in milliseconds. */
const BEAT = { heartbeat_ms: 25_000, heartbeat_reply_ms: 10_000 };

/** A client for one server. Nothing happens before the first request. */
export class WebSocketClient {
  readonly #connection: Connection<ServerMessage, ClientMessage>;
  readonly #clock: Clock;
  readonly #newId: () => string;
  readonly #answers = new Map<Answer, (error?: ChatServiceError) => void>();
  #metrics = { attempts: 0, connects: 0, errors: 0, latencyMs: 0, totalLatencyMs: 0, resumes: 0 };
  #dialled = 0;
  #runId: string | undefined;

  constructor(baseUrl: string, options: WebSocketClientOptions = {}) {
    const { transport, wake, clock = { now: () => Date.now() } as Clock } = options;
    this.#clock = clock;
    this.#newId = options.newId ?? randomId;
    const address = `${baseUrl.replace(/\/+$/, "")}/chat/ws`;
    this.#connection = new Connection<ServerMessage, ClientMessage>({
      codec: { encode: encodeClientMessage, decode: decodeServerMessage },
      target: () => withTicket(address, options),
      opening: () => this.#opening(),
      // Pages never see the server's pings, so a line that is cut somewhere between is noticed by asking.
      heartbeat: { ping: () => ({ name: "Ping", body: {} }), isBeat: (message) => message.name === "Pong" },
      transport,
      clock: options.clock,
      wake,
      policy: { reconnect: reconnect(options), close_codes: { 4003: "fatal" }, ...BEAT },
    });
    this.#connection.on("message", (message) => this.#hear(message));
    this.#connection.on("state", (state) => this.#state(state));
  }

  /** The chat that was named last. */
  get runId(): string | undefined {
    return this.#runId;
  }

  /** What the connection has been through so far. */
  get metrics(): Metrics {
    return { ...this.#metrics };
  }

  /**
   * Opens a chat with a question. Settles when the answer has ended, after `onEnd`; fails with a `ChatServiceError`
   * when the request is wrong, before anything is sent, or the server cannot be reached any more.
   */
  async generateChatResponse(request: ChatRequest, callbacks: WebSocketCallbacks): Promise<void> {
    return this.#callback(this.#new(request), callbacks);
  }

  /** Goes on with a chat: gives what was missed, and the answer to a new message. Settles as above. */
  async resumeChatSession(request: ResumeRequest, callbacks: WebSocketCallbacks): Promise<void> {
    return this.#callback(this.#resume(request), callbacks);
  }

  /** Opens a chat with a question; what happens, for `for await`. Leaving the loop leaves the answer alone. */
  chat(request: ChatRequest): AsyncGenerator<ChatEvent, void, undefined> {
    return this.#events(this.#new(request));
  }

  /** Goes on with a chat; what happens, for `for await`. */
  resume(request: ResumeRequest): AsyncGenerator<ChatEvent, void, undefined> {
    return this.#events(this.#resume(request));
  }

  /** Ends the answer of a chat that is being given, and keeps what was said. It holds over a reconnect. */
  stop(runId: string | undefined = this.#runId): void {
    if (runId === undefined) return;
    for (const answer of this.#answers.keys()) if (answer.runId === runId) answer.stopping = true;
    this.#say({ name: "Stop", body: { runId } });
  }

  /** Answers a call of one of this client's tools: with what it gave, or with an `Error`. */
  sendToolResult(runId: string, callId: string, result: unknown): void {
    const outcome = result instanceof Error ? { error: result.message } : { result: result ?? null };
    this.#connection.send({ name: "ToolResult", body: { runId, callId, ...outcome } });
  }

  /** Agrees to a call that waits for a person, or refuses it. */
  approve(runId: string, callId: string, approved: boolean): void {
    this.#connection.send({ name: "Approve", body: { runId, callId, approved } });
  }

  /** Ends the connection; answers that are awaited end here, those on the server go on. */
  close(): void {
    this.#connection.close();
    this.#giveUp();
  }

  // Asking

  #new(request: ChatRequest): First {
    checkNew(request);
    return fitting({ new: { ...request, runId: request.runId ?? this.#newId() } });
  }

  #resume(request: ResumeRequest): First {
    checkResume(request);
    const { newMessage, ...rest } = request;
    return fitting({ resume: newMessage ? { ...rest, newMessage: { ...newMessage, id: newMessage.id ?? this.#newId() } } : rest });
  }

  async #callback(first: First, callbacks: WebSocketCallbacks): Promise<void> {
    const wrong = WebSocketCallbacks.find((name) => callbacks[name] !== undefined && typeof callbacks[name] !== "function");
    if (wrong) throw new ChatServiceError({ message: `${wrong} takes a function`, code: "invalid", field: wrong });
    return new Promise((resolve, reject) => {
      let given: ChatServiceError | undefined;
      const answer = this.#await(
        first,
        (event) => {
          // A callback that throws spoils neither the others nor the answer.
          try {
            call(callbacks, event);
          } catch (thrown) {
            queueMicrotask(() => {
              throw thrown;
            });
          }
          if (event.type === "end") this.#settle(answer, given ? () => reject(given) : resolve);
        },
        (error) => (given = error),
      );
    });
  }

  #settle(answer: Answer, settle: () => void): void {
    this.#answers.delete(answer);
    settle();
  }

  async *#events(first: First): AsyncGenerator<ChatEvent, void, undefined> {
    const waiting: ChatEvent[] = [];
    let wake = (): void => undefined;
    const answer = this.#await(first, (event) => (waiting.push(event), wake()), () => undefined);
    try {
      for (;;) {
        const event = waiting.shift();
        if (event) yield event;
        if (event?.type === "end") return;
        if (waiting.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      this.#answers.delete(answer);
    }
  }

  #await(first: First, tell: (event: ChatEvent) => void, failed: (error: ChatServiceError) => void): Answer {
    const answer = new Answer(first, tell);
    this.#runId = answer.runId;
    this.#answers.set(answer, (error) => {
      if (error) failed(error);
      answer.give(error);
    });
    // Who is not connected says it first when it is.
    if (this.#connection.state.status === "open") this.#send(answer);
    else this.#connection.open();
    return answer;
  }

  #send(answer: Answer): void {
    try {
      this.#connection.send(answer.request());
    } catch (thrown) {
      // Whoever asks has to have the answer in hand before it ends.
      queueMicrotask(() => this.#answers.get(answer)?.(asError(thrown)));
    }
  }

  #opening(): ClientMessage[] {
    const answers = [...this.#answers.keys()];
    this.#metrics.resumes += answers.filter((answer) => answer.begun).length;
    const stops = answers.filter((answer) => answer.stopping).map(({ runId }): ClientMessage => ({ name: "Stop", body: { runId } }));
    return [...answers.map((answer) => answer.request()), ...stops];
  }

  #say(message: ClientMessage): void {
    // Where there is no connection, the next one begins with it.
    if (this.#connection.state.status === "open") this.#connection.send(message);
  }

  // Hearing

  #hear(message: ServerMessage): void {
    if (message.name === "Unknown" || message.name === "Pong") return;
    const { runId } = message.body.data;
    for (const answer of [...this.#answers.keys()]) if (runId === undefined || runId === answer.runId) answer.hear(message);
  }

  #state(state: ConnectionState): void {
    const metrics = this.#metrics;
    switch (state.status) {
      case "connecting":
        metrics.attempts += 1;
        this.#dialled = this.#clock.now();
        return;
      case "open":
        metrics.connects += 1;
        metrics.latencyMs = this.#clock.now() - this.#dialled;
        metrics.totalLatencyMs += metrics.latencyMs;
        return;
      case "waiting":
        metrics.errors += 1;
        return;
      case "failed":
      case "closed":
        if (state.cause.code !== 1000) metrics.errors += 1;
        return this.#giveUp(lost(state.cause));
    }
  }

  #giveUp(error?: ChatServiceError): void {
    for (const give of [...this.#answers.values()]) give(error);
  }
}

/** A client for the server at this address, `http(s)` or `ws(s)`. */
export function createWebSocketClient(baseUrl: string, options?: WebSocketClientOptions): WebSocketClient {
  return new WebSocketClient(baseUrl, options);
}

/** The request, unless it is larger than the server takes. */
function fitting(first: First): First {
  if (new TextEncoder().encode(JSON.stringify(first)).length <= MAX_BYTES) return first;
  throw new ChatServiceError({ message: "a request takes at most 1 MiB; send less", code: "too_large" });
}

function reconnect({ autoReconnect = true, maxReconnectAttempts = 5, reconnectDelayMs = 1000, maxReconnectDelayMs = 30_000 }: WebSocketClientOptions) {
  if (!autoReconnect) return "never" as const;
  // From the longest delay that chance allows downwards: the same spread as ± around the middle.
  const longest = 1 + CHANCE;
  return {
    initial_ms: reconnectDelayMs * longest,
    factor: 1.5,
    max_ms: maxReconnectDelayMs * longest,
    jitter: (2 * CHANCE) / longest,
    max_attempts: maxReconnectAttempts,
    min_uptime_ms: 0,
  };
}

function lost({ code, reason, error }: { readonly code: number; readonly reason: string; readonly error?: SchematicError }): ChatServiceError {
  const why = error?.message ?? (reason || `the connection was lost (${code})`);
  return new ChatServiceError({ message: why, code: "connection" as never, retryable: true });
}

function asError(thrown: unknown): ChatServiceError {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new ChatServiceError({ message, code: "invalid" });
}

function randomId(): string {
  // `randomUUID` is missing in pages that are not served securely; random bytes are always there.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
