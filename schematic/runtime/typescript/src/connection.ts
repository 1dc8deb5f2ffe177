//! A connection that survives: it opens links one after another and makes one conversation of them.
//!
//! It decides when to connect, when to come back and when to give up, says what has to be said first, and keeps
//! what waits. What the messages mean is the business of the codec and of whoever listens.

import { systemClock, type Clock, type Timer } from "./clock.js";
import { Correlator, type Expectation } from "./correlate.js";
import { Emitter } from "./emitter.js";
import { SchematicError, asError, type ErrorKind } from "./errors.js";
import { Inbox } from "./inbox.js";
import { Outbox, byteLength, type Fate, type Outgoing } from "./outbox.js";
import { backoff, closeAction, defaultPolicy, type CloseAction, type Confirm, type ConnectionPolicy } from "./policy.js";
import { Pulse, type PulseHooks } from "./pulse.js";
import { Rates } from "./rate.js";
import { prepare, type Prepared, type TargetSource } from "./target.js";
import { webSocketTransport, type Frame, type Link, type LinkEvents, type Transport } from "./transport.js";
import { pageWake, type Wake } from "./wake.js";

/** How messages become frames and frames messages. Both may throw; neither may change anything. */
export interface Codec<In, Out> {
  encode(message: Out): Frame;
  decode(frame: Frame): In;
}

/** Why a link or the connection ended. */
export interface Ending {
  /** The close code; 1006 where there was none. */
  readonly code: number;
  /** The reason in words, without secrets; may be empty. */
  readonly reason: string;
  /** What went wrong, if the code alone does not say it. */
  readonly error?: SchematicError;
}

/** Where a connection is. */
export type ConnectionState =
  | { readonly status: "idle" }
  | { readonly status: "connecting"; readonly attempt: number; readonly reconnect: boolean }
  | { readonly status: "open"; readonly since: number; readonly protocol: string }
  /** Comes back by itself at `retry_at`, by the clock's time. */
  | { readonly status: "waiting"; readonly attempt: number; readonly retry_at: number; readonly cause: Ending }
  /** Has given up for now; `tryNow` goes on, and so does a sign that the network is back. */
  | { readonly status: "failed"; readonly attempts: number; readonly cause: Ending }
  | { readonly status: "closing"; readonly cause: Ending }
  /** Is over; `open` begins anew. */
  | { readonly status: "closed"; readonly cause: Ending };

/** What a connection tells its listeners. */
export interface ConnectionEvents<In, Out> {
  connecting: { readonly attempt: number };
  open: { readonly protocol: string };
  message: In;
  /** The link was lost; the next attempt follows after `delay_ms`. */
  reconnecting: {
    readonly attempt: number;
    readonly delay_ms: number;
    readonly cause: Ending;
    /** Messages that were written and of which nobody knows whether they arrived; none with `confirm: "written"`. */
    readonly unsent: readonly Out[];
  };
  /** Once a second while an attempt is waited for. */
  countdown: { readonly remaining_ms: number };
  reconnected: { readonly protocol: string; readonly attempts: number };
  failed: { readonly attempts: number; readonly cause: Ending; readonly unsent: readonly Out[] };
  closing: Ending;
  /** It is over; `unsent` are the messages that do not count as sent, oldest first. */
  closed: Ending & { readonly unsent: readonly Out[] };
  /** A message was handed to the platform. */
  sent: Out;
  /** Something was wrong that did not end the connection. */
  error: SchematicError;
  state: ConnectionState;
}

/** What is said first on a new link. */
export interface Opening {
  /** Whether there was a link before. */
  readonly reconnect: boolean;
  /** Whether the session may be taken up where it was, as the close code says. */
  readonly resume: boolean;
}

/** How both sides notice that the other is gone. */
export interface HeartbeatHooks<In, Out> {
  /** Makes the message that is sent at every beat, if the client begins. */
  readonly ping?: (() => Out) | undefined;
  /** Whether a message is part of the heartbeat; consumers never see those. */
  readonly isBeat?: ((message: In) => boolean) | undefined;
  /** What answers a beat of the server. */
  readonly pong?: ((message: In) => Out | undefined) | undefined;
}

/** The message that accepts the opening; until it comes, nothing else is sent. */
export interface FirstAcknowledgement<In, Out> {
  readonly accepts: (message: In) => boolean;
  readonly refuses?: ((message: In) => boolean) | undefined;
  /** The messages that open a session, of which each is waited for; without it, every link is. */
  readonly begins?: ((message: Out) => boolean) | undefined;
  readonly timeout_ms: number;
}

/** Everything that a connection is told. Only codec and target are needed. */
export interface ConnectionOptions<In, Out> {
  readonly codec: Codec<In, Out>;
  readonly target: TargetSource;
  readonly policy?: Partial<ConnectionPolicy> | undefined;
  /** Makes the first messages of each link from what has been kept; called when the link is open. */
  readonly opening?: ((opening: Opening) => readonly Out[]) | undefined;
  /** Recognises the message with which the server speaks first; until it comes, nothing is sent. */
  readonly greeting?: ((message: In) => boolean) | undefined;
  readonly firstAck?: FirstAcknowledgement<In, Out> | undefined;
  readonly heartbeat?: HeartbeatHooks<In, Out> | undefined;
  /** Reads the id of the request that a message answers. */
  readonly replyId?: ((message: In) => unknown) | undefined;
  /** Fills in what only the wire may see, a credential above all; asked when a message is written. */
  readonly complete?: ((message: Out) => Out) | undefined;
  /** For `confirm: "answer"`: how many of the oldest written messages this one confirms. */
  readonly confirms?: ((message: In) => number) | undefined;
  /** What becomes of a message that was written and not confirmed when the link was lost; without it, it is handed back. */
  readonly fate?: ((message: Out) => Fate) | undefined;
  /** For `inbound_full: "coalesce"`: the key of a message. */
  readonly coalesceKey?: ((message: In) => unknown) | undefined;
  readonly transport?: Transport | undefined;
  readonly clock?: Clock | undefined;
  readonly wake?: Wake | undefined;
}

/** What a request may say about its replies; the rest is in the policy. */
export type RequestOptions<In> = Partial<Expectation<In>>;

/** How often the platform's buffer is looked at while it is full, in milliseconds. */
const DRAIN_MS = 50;
/** How many silent heartbeat intervals mean that the other side is gone. */
const SILENT_BEATS = 2;
/** What ping frames carry that are only signs of life; those that confirm messages carry a number. */
const BEAT = "beat";

/** What a link that is being opened waits for: the server's first word, or the acknowledgement of the opening. */
type Awaited = "greeting" | "ack" | undefined;

/** A conversation with one endpoint. */
export class Connection<In, Out> implements AsyncIterable<In> {
  readonly #options: ConnectionOptions<In, Out>;
  readonly #policy: ConnectionPolicy;
  readonly #clock: Clock;
  readonly #transport: Transport;
  readonly #emitter = new Emitter<ConnectionEvents<In, Out>>();
  readonly #outbox: Outbox<Out>;
  readonly #correlator: Correlator<In>;
  readonly #inboxes = new Set<Inbox<In>>();
  #state: ConnectionState = { status: "idle" };
  #link: Link | undefined;
  /** Grows with every attempt, so that what belongs to an older one is recognised. */
  #turn = 0;
  #failures = 0;
  #everOpen = false;
  #resume = false;
  #awaited: Awaited;
  /** The opening messages that are still to be said on this link, before everything in the outbox. */
  #first: Out[] = [];
  /** The number of the ping that will confirm what was written before it, and how many messages that is. */
  #barrier = { number: 0, messages: 0 };
  #rates = new Rates([]);
  #giveUp: AbortController | undefined;
  #protocol = "";
  #heartbeat_ms: number;
  #heard = 0;
  #holders = 0;
  #secrets: readonly string[] = [];
  #unwake: (() => void) | undefined;
  /** Waits for the handshake, the acknowledgement, the retry or the goodbye: never two of them at once. */
  #deadline: Timer;
  #idle: Timer;
  #age: Timer;
  #drain: Timer;
  #second: Timer;
  readonly #messageBeat: Pulse;
  readonly #frameBeat: Pulse;

  constructor(options: ConnectionOptions<In, Out>) {
    this.#options = options;
    const close_codes = { ...defaultPolicy.close_codes, ...options.policy?.close_codes };
    this.#policy = { ...defaultPolicy, ...options.policy, close_codes };
    this.#clock = options.clock ?? systemClock;
    this.#transport = options.transport ?? webSocketTransport();
    this.#outbox = new Outbox(this.#policy);
    this.#correlator = new Correlator(this.#clock, options.replyId ?? (() => undefined));
    this.#heartbeat_ms = this.#policy.heartbeat_ms;
    this.#messageBeat = new Pulse(this.#clock, this.#pulse(() => this.#sendBeat()));
    this.#frameBeat = new Pulse(this.#clock, this.#pulse(() => this.#link?.ping?.(BEAT)));
  }

  #pulse(beat: () => void): PulseHooks {
    return {
      beat,
      deaf: () => this.#holders > 0,
      dead: () => this.#lost(this.#turn, lostBy("timeout", "The server did not answer a sign of life in time")),
    };
  }

  /** Where the connection is. */
  get state(): ConnectionState {
    return this.#state;
  }

  /** How many messages are not yet sent. */
  get queued(): number {
    return this.#outbox.size;
  }

  /** Whether this very message still waits to be written. */
  queues(message: Out): boolean {
    return this.#outbox.queues(message);
  }

  /** Calls `listener` at every such event. The function that comes back ends this. */
  on<Name extends keyof ConnectionEvents<In, Out>>(
    name: Name,
    listener: (event: ConnectionEvents<In, Out>[Name]) => void,
  ): () => void {
    return this.#emitter.on(name, listener);
  }

  /** Begins to connect, also after the connection was closed. Does nothing where it already goes on. */
  open(): void {
    const { status } = this.#state;
    if (status !== "idle" && status !== "closed" && status !== "failed") return;
    this.#failures = 0;
    this.#unwake ??= (this.#options.wake ?? pageWake)(() => this.#awake());
    this.#dial();
  }

  /** Settles when the connection is open; fails when it ends before. */
  async opened(): Promise<void> {
    if (this.#state.status === "idle") this.open();
    while (this.#state.status !== "open") {
      const state = this.#state;
      if (state.status === "closed" || state.status === "failed") throw ended(state.cause);
      await new Promise<void>((resolve) => {
        const off = this.on("state", () => {
          off();
          resolve();
        });
      });
    }
  }

  /** Connects now instead of at the end of the delay, and also after it gave up. */
  tryNow(): void {
    if (this.#state.status === "waiting") this.#dial();
    else this.open();
  }

  /** Queues a message; an error of kind `full` if there is no place, `shape` if it is too large, `closed` after the end. */
  send(message: Out): Outgoing<Out> {
    this.#refuseIfOver();
    const frame = this.#options.codec.encode(message);
    const limit = this.#policy.message_bytes;
    if (byteLength(frame) > limit) throw new SchematicError("shape", `Shorten the message to ${limit} bytes`);
    const outgoing = this.#outbox.add(message, frame);
    this.#flush();
    return outgoing;
  }

  /** Queues a message as soon as there is a place. */
  async sendWhenRoom(message: Out): Promise<Outgoing<Out>> {
    for (;;) {
      try {
        return this.send(message);
      } catch (thrown) {
        if (!(thrown instanceof SchematicError) || thrown.kind !== "full" || this.#outbox.size === 0) throw thrown;
      }
      await this.#outbox.room();
    }
  }

  #refuseIfOver(): void {
    const { status } = this.#state;
    if (status === "closed" || status === "closing") {
      throw new SchematicError("closed", "Open the connection again before sending: it is closed");
    }
  }

  /** Sends a message and waits for the reply to it. */
  async request(message: Out, options: RequestOptions<In> = {}): Promise<In> {
    for await (const reply of this.requestMany(message, options)) return reply;
    throw new SchematicError("disconnected", "Ask again: the connection ended before the reply came");
  }

  /** Sends a message at once and gives its replies as they come, up to the one that `last` accepts. */
  requestMany(message: Out, options: RequestOptions<In> = {}): AsyncIterableIterator<In> {
    const inbox = new Inbox<In>({
      limit: this.#policy.inbound_messages,
      full: "fail",
      hold: () => false,
      left: () => stop(),
    });
    let outgoing: Outgoing<Out> | undefined;
    const forget = this.#correlator.expect(
      { timeout_ms: this.#policy.reply_ms, ...options },
      { reply: (reply) => inbox.push(reply), done: () => inbox.end(), failed: (error) => (stop(), inbox.end(error)) },
    );
    const stop = (): void => {
      forget();
      // A request whose asker has gone must not be sent later.
      outgoing?.withdraw();
    };
    try {
      outgoing = this.send(message);
    } catch (thrown) {
      stop();
      throw thrown;
    }
    return inbox;
  }

  /** The messages from now on, for `for await`. Ends with the connection. */
  [Symbol.asyncIterator](): AsyncIterableIterator<In> {
    const inbox = new Inbox<In>({
      limit: this.#policy.inbound_messages,
      full: this.#policy.inbound_full,
      key: this.#options.coalesceKey,
      hold: (on) => this.#hold(on),
      overflow: (error) => this.#policy.inbound_full === "fail" && this.#end({ code: 1008, reason: error.message, error }),
      left: (left) => void this.#inboxes.delete(left),
    });
    if (this.#state.status === "closed") inbox.end();
    else this.#inboxes.add(inbox);
    return inbox;
  }

  /** Sets the time between two signs of life, in milliseconds, when the server tells it. */
  setHeartbeat(interval_ms: number): void {
    this.#heartbeat_ms = interval_ms;
    if (this.#link && this.#awaited !== "greeting") this.#startBeat();
  }

  /** Ends the connection. What was not sent comes back in the `closed` event. */
  close(code = 1000, reason = ""): void {
    const { status } = this.#state;
    if (status === "closed" || status === "closing") return;
    const cause = { code, reason };
    if (!this.#link || status !== "open") return this.#end(cause);
    this.#stopTimers();
    this.#enter({ status: "closing", cause });
    this.#emitter.emit("closing", cause);
    this.#deadline = this.#clock.after(this.#policy.close_ms, () => this.#end(cause));
    this.#link.close(code, reason);
  }

  // Coming and going

  #dial(): void {
    this.#letGo();
    const turn = (this.#turn += 1);
    const attempt = { attempt: this.#failures + 1, reconnect: this.#everOpen };
    this.#deadline = this.#clock.after(this.#policy.connect_ms, () =>
      this.#lost(turn, lostBy("timeout", `Connecting took longer than ${this.#policy.connect_ms} ms`)),
    );
    this.#enter({ status: "connecting", ...attempt });
    this.#emitter.emit("connecting", { attempt: attempt.attempt });
    if (turn !== this.#turn) return;
    const { signal } = (this.#giveUp = new AbortController());
    prepare(this.#options.target, { ...attempt, resume: this.#everOpen && this.#resume, signal }).then(
      (prepared) => this.#connect(turn, prepared),
      (thrown) => this.#lost(turn, this.#refused(thrown)),
    );
  }

  #connect(turn: number, { request, secrets }: Prepared): void {
    if (turn !== this.#turn) return;
    this.#secrets = secrets;
    const events: LinkEvents = {
      open: (protocol) => this.#linkOpen(turn, protocol, request.protocols),
      frame: (frame) => this.#frame(turn, frame),
      ping: () => void (this.#heard = this.#clock.now()),
      pong: (payload) => this.#pong(turn, payload),
      closed: (code, reason, broken) => this.#linkClosed(turn, code, clean(reason, this.#secrets), broken),
    };
    try {
      this.#link = this.#transport.connect(request, events);
    } catch (thrown) {
      this.#lost(turn, this.#refused(thrown));
    }
  }

  #refused(thrown: unknown): Ending {
    const error = asError(thrown, "connect", this.#secrets);
    return { code: 1006, reason: error.message, error };
  }

  #linkOpen(turn: number, protocol: string, offered: readonly string[]): void {
    if (turn !== this.#turn) return;
    if (offered.length > 0 && !offered.includes(protocol)) {
      return this.#lost(turn, lostBy("protocol", "The server chose none of the subprotocols that were offered", 1002));
    }
    this.#heard = this.#clock.now();
    this.#protocol = protocol;
    this.#rates = new Rates(this.#policy.rates);
    this.#barrier.messages = 0;
    if (this.#holders > 0) this.#link?.pause?.();
    const { max_age_ms } = this.#policy;
    if (max_age_ms > 0) this.#age = this.#clock.after(max_age_ms, () => this.#lost(turn, lostBy("timeout", "The link has reached its longest life")));
    this.#awaited = this.#options.greeting && "greeting";
    if (!this.#awaited) this.#begin(turn);
  }

  /** The server listens: says what comes first. */
  #begin(turn: number): void {
    const { firstAck } = this.#options;
    this.#awaited = undefined;
    this.#startBeat();
    this.#plan(this.#everOpen && this.#resume);
    if (firstAck && !firstAck.begins) {
      this.#first.splice(0).forEach((message) => this.#write(message));
      this.#awaitAck();
    }
    this.#advance(turn);
  }

  #plan(resume: boolean): void {
    this.#resume = resume;
    this.#first = [...(this.#options.opening?.({ reconnect: this.#everOpen, resume }) ?? [])];
  }

  /** Says of the opening what may be said now. When all is said and acknowledged, the link is open. */
  #advance(turn: number): void {
    while (turn === this.#turn && !this.#awaited && this.#first.length > 0) this.#write(this.#first.shift() as Out);
    if (turn !== this.#turn || this.#awaited) return;
    if (this.#state.status === "open") this.#flush();
    else this.#isOpen(this.#protocol);
  }

  #awaitAck(): void {
    const timeout_ms = this.#options.firstAck?.timeout_ms ?? this.#policy.connect_ms;
    const turn = this.#turn;
    this.#awaited = "ack";
    this.#clock.cancel(this.#deadline);
    this.#deadline = this.#clock.after(timeout_ms, () =>
      this.#lost(turn, lostBy("timeout", `The opening was not acknowledged in ${timeout_ms} ms`)),
    );
  }

  #isOpen(protocol: string): void {
    const attempts = this.#failures + 1;
    const again = this.#everOpen;
    this.#clock.cancel(this.#deadline);
    this.#everOpen = true;
    const turn = this.#turn;
    this.#enter({ status: "open", since: this.#clock.now(), protocol });
    // Whoever listens may have closed the connection by now.
    if (turn !== this.#turn) return;
    if (again) this.#emitter.emit("reconnected", { protocol, attempts });
    else this.#emitter.emit("open", { protocol });
    this.#flush();
  }

  #linkClosed(turn: number, code: number, reason: string, broken = false): void {
    if (turn !== this.#turn) return;
    this.#link = undefined;
    // Who answers the goodbye has read all before it.
    if (this.#state.status === "closing" && code !== 1006) this.#outbox.confirm(this.#outbox.written);
    this.#lost(turn, broken ? lostBy("shape", reason, code) : { code, reason });
  }

  #lost(turn: number, cause: Ending): void {
    if (turn !== this.#turn) return;
    this.#turn += 1;
    if (this.#state.status === "closing") return this.#end(cause.code === 1005 ? this.#state.cause : cause);
    this.#correlator.failAll(new SchematicError("disconnected", "Ask again: the connection was lost before the reply came"), false);
    const action = this.#judge(cause);
    this.#resume = action === "resume";
    const { reconnect } = this.#policy;
    if (action === "fatal" || reconnect === "never") return this.#end(cause);
    this.#countFailure(reconnect.min_uptime_ms);
    this.#letGo();
    const { fate = () => "unknown" } = this.#options;
    const unsent = this.#outbox.linkLost(fate);
    const failed = this.#failures > reconnect.max_attempts;
    if (failed) this.#fail(cause, unsent);
    else this.#wait(backoff(reconnect, this.#failures, this.#clock.random()), cause, unsent);
  }

  #judge({ code, error }: Ending): CloseAction {
    const kind = error?.kind;
    if (kind === "auth" || kind === "insecure" || kind === "protocol") return "fatal";
    return closeAction(this.#policy, code);
  }

  #countFailure(min_uptime_ms: number): void {
    const state = this.#state;
    const stable = state.status === "open" && this.#clock.now() - state.since >= min_uptime_ms;
    this.#failures = stable ? 1 : this.#failures + 1;
  }

  #wait(delay_ms: number, cause: Ending, unsent: readonly Out[]): void {
    const attempt = this.#failures;
    const retry_at = this.#clock.now() + delay_ms;
    const turn = this.#turn;
    this.#deadline = this.#clock.after(delay_ms, () => this.#dial());
    this.#enter({ status: "waiting", attempt, retry_at, cause });
    if (turn === this.#turn) this.#emitter.emit("reconnecting", { attempt, delay_ms, cause, unsent });
    if (turn === this.#turn) this.#count(retry_at);
  }

  #count(retry_at: number): void {
    const remaining_ms = Math.max(0, retry_at - this.#clock.now());
    if (remaining_ms > 0) this.#second = this.#clock.after(Math.min(1_000, remaining_ms), () => this.#count(retry_at));
    this.#emitter.emit("countdown", { remaining_ms });
  }

  #fail(cause: Ending, unsent: readonly Out[]): void {
    const attempts = this.#failures;
    this.#enter({ status: "failed", attempts, cause });
    this.#emitter.emit("failed", { attempts, cause, unsent });
  }

  #end(cause: Ending): void {
    this.#turn += 1;
    this.#letGo();
    this.#unwake?.();
    this.#unwake = undefined;
    const unsent = this.#outbox.handBack();
    this.#correlator.failAll(new SchematicError("closed", "Open the connection again: it was closed before the reply came"));
    this.#enter({ status: "closed", cause });
    for (const inbox of this.#inboxes) inbox.end();
    this.#inboxes.clear();
    this.#emitter.emit("closed", { ...cause, unsent });
  }

  #letGo(): void {
    this.#stopTimers();
    this.#giveUp?.abort();
    this.#link?.drop();
    this.#link = undefined;
    this.#awaited = undefined;
    this.#first = [];
  }

  #stopTimers(): void {
    for (const timer of [this.#deadline, this.#idle, this.#age, this.#drain, this.#second]) this.#clock.cancel(timer);
    this.#messageBeat.stop();
    this.#frameBeat.stop();
  }

  #enter(state: ConnectionState): void {
    this.#state = state;
    this.#emitter.emit("state", state);
  }

  #awake(): void {
    const { status } = this.#state;
    if (status === "waiting" || status === "failed") this.tryNow();
    else if (status === "open") this.#watch();
  }

  // What is said

  /** Writes a message of the session itself, before what waits in the outbox. */
  #write(message: Out): void {
    try {
      this.#hand(message);
    } catch (thrown) {
      this.#lost(this.#turn, this.#refused(thrown));
    }
  }

  #hand(message: Out, frame?: Frame): void {
    const { codec, complete, firstAck } = this.#options;
    const whole = complete?.(message) ?? message;
    this.#link?.send(frame !== undefined && whole === message ? frame : codec.encode(whole));
    this.#rates.spend(this.#clock.now());
    if (firstAck?.begins?.(message)) this.#awaitAck();
    this.#emitter.emit("sent", message);
  }

  #flush(): void {
    this.#clock.cancel(this.#drain);
    if (this.#state.status !== "open") return;
    this.#outbox.flush((frame, message) => this.#writeIfRoom(frame, message), this.#confirm !== "written");
    this.#raiseBarrier();
    if (this.#outbox.queued === 0 || this.#awaited || this.#state.status !== "open") return;
    this.#drain = this.#clock.after(this.#rates.wait(this.#clock.now()) || DRAIN_MS, () => this.#flush());
  }

  get #confirm(): Confirm {
    const { confirm } = this.#policy;
    return confirm === "pong" && !this.#link?.ping ? "written" : confirm;
  }

  #writeIfRoom(frame: Frame, message: Out): boolean {
    const link = this.#link;
    if (!link || this.#awaited || link.buffered() > this.#policy.platform_bytes || this.#rates.wait(this.#clock.now()) > 0) return false;
    try {
      this.#hand(message, frame);
    } catch (thrown) {
      this.#emitter.emit("error", asError(thrown, "shape", this.#secrets));
    }
    return true;
  }

  /** Sends a ping whose answer says that all before it has arrived; one at a time. */
  #raiseBarrier(): void {
    if (this.#policy.confirm !== "pong" || this.#barrier.messages > 0 || this.#outbox.written === 0) return;
    this.#barrier = { number: this.#barrier.number + 1, messages: this.#outbox.written };
    this.#link?.ping?.(String(this.#barrier.number));
  }

  // What is heard

  #pong(turn: number, payload: string): void {
    if (turn !== this.#turn) return;
    this.#heard = this.#clock.now();
    this.#frameBeat.answered();
    if (payload !== String(this.#barrier.number)) return;
    this.#outbox.confirm(this.#barrier.messages);
    this.#barrier.messages = 0;
    this.#flush();
  }

  #frame(turn: number, frame: Frame): void {
    if (turn !== this.#turn) return;
    this.#heard = this.#clock.now();
    const message = this.#decode(frame);
    if (message === undefined) return;
    if (this.#policy.confirm === "answer") this.#outbox.confirm(this.#options.confirms?.(message.value) ?? 0);
    if (this.#options.heartbeat?.isBeat?.(message.value)) return this.#answerBeat(message.value);
    if (this.#awaited && !this.#acknowledge(turn, message.value)) return;
    this.#deliver(message.value);
  }

  #decode(frame: Frame): { value: In } | undefined {
    try {
      if (byteLength(frame) > this.#policy.frame_bytes) {
        throw new SchematicError("shape", `The server sent a frame of more than ${this.#policy.frame_bytes} bytes`, frame);
      }
      return { value: this.#options.codec.decode(frame) };
    } catch (thrown) {
      this.#emitter.emit("error", asError(thrown, "shape", this.#secrets));
      return undefined;
    }
  }

  #answerBeat(message: In): void {
    this.#messageBeat.answered();
    this.#correlator.offer(message);
    const pong = this.#options.heartbeat?.pong?.(message);
    if (pong !== undefined) this.#write(pong);
  }

  /** Looks for what the link waits for; false if it did not survive it. */
  #acknowledge(turn: number, message: In): boolean {
    const { firstAck, greeting } = this.#options;
    if (this.#awaited === "greeting") {
      if (greeting?.(message)) this.#begin(turn);
    } else if (firstAck?.refuses?.(message)) {
      this.#refusedOpening(turn, message);
    } else if (firstAck?.accepts(message)) {
      this.#awaited = undefined;
      this.#clock.cancel(this.#deadline);
      this.#advance(turn);
    }
    return turn === this.#turn;
  }

  /** What cannot be resumed is begun anew; what cannot be begun is over. */
  #refusedOpening(turn: number, message: In): void {
    if (this.#resume) {
      this.#awaited = undefined;
      this.#plan(false);
      return this.#advance(turn);
    }
    this.#deliver(message);
    this.#lost(turn, lostBy("auth", "The server refused the opening message"));
  }

  #deliver(message: In): void {
    if (this.#correlator.offer(message)) return;
    for (const inbox of [...this.#inboxes]) inbox.push(message);
    this.#emitter.emit("message", message);
  }

  #hold(on: boolean): boolean {
    if (this.#link && !this.#link.pause) return false;
    this.#holders += on ? 1 : -1;
    if (on) this.#link?.pause?.();
    else if (this.#holders === 0) this.#link?.resume?.();
    return true;
  }

  // Signs of life

  #startBeat(): void {
    const { heartbeat_reply_ms, ping_ms, ping_reply_ms, jitter_first } = this.#policy;
    this.#watch();
    if (this.#options.heartbeat?.ping) {
      this.#messageBeat.start(this.#heartbeat_ms, heartbeat_reply_ms, jitter_first ? this.#clock.random() : 1);
    }
    if (this.#link?.ping) this.#frameBeat.start(ping_ms, ping_reply_ms);
  }

  #sendBeat(): void {
    const ping = this.#options.heartbeat?.ping?.();
    if (ping !== undefined) this.#write(ping);
  }

  /** Gives the link up when it has been silent for too long, else looks again when it could have been. */
  #watch(): void {
    this.#clock.cancel(this.#idle);
    const limit_ms = this.#policy.idle_ms || SILENT_BEATS * this.#heartbeat_ms;
    if (limit_ms === 0) return;
    // A socket that is held back has a reason to be silent.
    const silence_ms = this.#holders > 0 ? 0 : this.#clock.now() - this.#heard;
    if (silence_ms >= limit_ms) return this.#lost(this.#turn, lostBy("timeout", `The server was silent for ${silence_ms} ms`));
    this.#idle = this.#clock.after(limit_ms - silence_ms, () => this.#watch());
  }
}

function lostBy(kind: ErrorKind, reason: string, code = 1006): Ending {
  return { code, reason, error: new SchematicError(kind, reason) };
}

function ended({ code, reason, error }: Ending): SchematicError {
  return error ?? new SchematicError("connect", `The connection ended with code ${code}${reason ? `: ${reason}` : ""}`);
}

function clean(reason: string, secrets: readonly string[]): string {
  return asError(reason, "connect", secrets).message;
}
