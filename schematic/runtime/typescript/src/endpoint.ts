//! What a generated client is made of: one endpoint of a definition, with its messages, its order and its policy,
//! put onto a connection.
//!
//! Generated files hand in plain data; what it means is here. Sockets, time and retries are the connection's.

import { Connection, type ConnectionOptions, type FirstAcknowledgement, type HeartbeatHooks, type Opening } from "./connection.js";
import { address, callForUrl, chooseWay, withCredential, withQuery, type AuthWay, type Fetch, type ParamValue, type Path } from "./credential.js";
import { SchematicError } from "./errors.js";
import { Lifecycle, type LifecycleSpec, type SessionPhase } from "./lifecycle.js";
import { lookUp, type Messages, type Named, type Unknown } from "./messages.js";
import type { Fate, Outgoing } from "./outbox.js";
import type { ConnectionPolicy } from "./policy.js";
import type { Attempt, Target } from "./target.js";

/** A heartbeat of messages. */
export interface HeartbeatSpec {
  readonly from: "client" | "server";
  readonly ping: string;
  readonly pong?: string;
  /** Members of the ping that the pong repeats. */
  readonly echo?: readonly { readonly ping: Path; readonly pong: Path }[];
  /** Captured values that the ping carries; `null` before they are known. */
  readonly carries?: readonly { readonly name: string; readonly into: Path }[];
  /** Where the server says the interval. */
  readonly given?: { readonly message: string; readonly path: Path };
}

/** What restores a session on a new connection. */
export type ReconnectSpec =
  | { readonly replay: { readonly opening: boolean; readonly subscriptions: readonly SubscriptionSpec[] } }
  | { readonly token: { readonly message: string; readonly capture: readonly CaptureSpec[]; readonly url?: string; readonly done?: string } };

/** A client message that stays in force, and what ends it. */
export interface SubscriptionSpec {
  readonly message: string;
  readonly endedBy?: string;
  readonly key: Path;
}

/** A value to remember for the resume message; no `messages` means every one that has it. */
export interface CaptureSpec {
  readonly name: string;
  readonly messages: readonly string[];
  readonly path: Path;
  readonly into: Path;
}

/** How a request finds its replies. */
export interface ReplySpec {
  readonly messages: readonly string[];
  readonly errors?: readonly string[];
  /** Messages that end a stream of replies. */
  readonly until?: readonly string[];
  /** How many replies there are, if nothing else ends them; 1 if it is not said. */
  readonly count?: number;
  readonly request?: Path;
  readonly reply?: Path;
  readonly timeout_ms?: number;
}

/** An endpoint as plain data. */
export interface EndpointSpec<In extends Named, Out extends Named> {
  readonly baseUrl: string;
  readonly path: string;
  readonly query: readonly string[];
  readonly client: Messages<Out>;
  readonly server: Messages<In>;
  readonly lifecycle: LifecycleSpec;
  readonly policy: Partial<ConnectionPolicy>;
  readonly subprotocols?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly auth?: readonly AuthWay[];
  /** Environment variables that may hold the credential. */
  readonly env?: readonly string[];
  readonly serverFirst?: string;
  readonly firstAck?: { readonly message: string; readonly refusedBy: readonly string[]; readonly timeout_ms?: number };
  readonly heartbeats?: readonly HeartbeatSpec[];
  readonly reconnect?: ReconnectSpec;
  readonly coalesce?: Path;
  /** Messages that may be sent again when nobody knows whether they arrived. */
  readonly idempotent?: readonly string[];
  readonly replies?: Readonly<Record<string, ReplySpec>>;
}

/** What the user of a generated client may choose. */
export interface EndpointOptions<In extends Named, Out extends Named>
  extends Omit<ConnectionOptions<In | Unknown, Out | Unknown>, "codec" | "target"> {
  /** The server, if it is not the one of the definition. */
  readonly baseUrl?: string | undefined;
  /** The whole target of an attempt, in place of what is made from parameters and credential. */
  readonly target?: ((attempt: Attempt) => string | Target | Promise<string | Target>) | undefined;
  /** The server of the HTTP call that gives the address, if it is not the one of the definition. */
  readonly callBaseUrl?: string | undefined;
  /** What makes that call; else the platform's `fetch`. */
  readonly fetch?: Fetch | undefined;
  /** The credential, or who obtains one before every attempt; else the environment variables of the definition. */
  readonly credential?: string | (() => string | undefined | Promise<string | undefined>) | undefined;
  /** Whether the transport can send headers, if it does not say so itself; browsers cannot. */
  readonly sendsHeaders?: boolean | undefined;
}

/** A conversation with one endpoint, its messages typed and in order. */
export class Endpoint<In extends Named, Out extends Named> implements AsyncIterable<In | Unknown> {
  /** What carries the conversation: its state, events and queue. */
  readonly connection: Connection<In | Unknown, Out | Unknown>;
  readonly #spec: EndpointSpec<In, Out>;
  readonly #options: EndpointOptions<In, Out>;
  readonly #lifecycle: Lifecycle;
  readonly #captured = new Map<string, unknown>();
  readonly #subscriptions = new Map<string, Out>();
  #initialize: Out | undefined;
  /** The credential, where it belongs into a message. */
  #secret: string | undefined;
  #lastId = 0;

  constructor(spec: EndpointSpec<In, Out>, params: Readonly<Record<string, ParamValue>>, options: EndpointOptions<In, Out>) {
    this.#spec = spec;
    this.#options = options;
    this.#lifecycle = new Lifecycle(spec.lifecycle);
    this.connection = new Connection<In | Unknown, Out | Unknown>({
      greeting: spec.serverFirst === undefined ? undefined : (message) => message.name === spec.serverFirst,
      firstAck: firstAck(spec),
      complete: (message) => this.#complete(message),
      fate: (message) => this.#fate(message),
      coalesceKey: spec.coalesce && ((message) => lookUp(body(message), spec.coalesce ?? [])),
      replyId: replyId(spec),
      opening: (opening) => this.#opening(opening),
      ...options,
      codec: { encode: (message) => spec.client.encode(message), decode: (frame) => this.#read(spec.server.decode(frame)) },
      target: options.target ?? ((attempt) => this.#target(params, attempt)),
      policy: { ...spec.policy, ...options.policy },
      heartbeat: options.heartbeat ?? this.#heartbeat(),
    });
    this.connection.on("closed", () => this.#lifecycle.restart());
  }

  /** Where the session is. */
  get phase(): SessionPhase {
    return this.#lifecycle.phase;
  }

  /** A number for a message that no earlier one, also of the heartbeat, has used as its id. */
  nextId(): number {
    return (this.#lastId += 1);
  }

  /** Begins to connect. */
  open(): void {
    this.connection.open();
  }

  /** Ends the connection. */
  close(code?: number, reason?: string): void {
    this.connection.close(code, reason);
  }

  /** Calls back for each message of the server. */
  onMessage(listener: (message: In | Unknown) => void): () => void {
    return this.connection.on("message", listener);
  }

  /** The server's messages, for `for await`. */
  [Symbol.asyncIterator](): AsyncIterableIterator<In | Unknown> {
    return this.connection[Symbol.asyncIterator]();
  }

  /** Queues a message, if it is its turn. */
  say(message: Out): Outgoing<Out | Unknown> {
    this.#lifecycle.check(message.name);
    const outgoing = this.connection.send(message);
    this.#remember(message);
    return outgoing;
  }

  /** Sends a request and waits for its first reply. */
  async askOne(message: Out): Promise<In | Unknown> {
    for await (const reply of this.ask(message)) return reply;
    throw new SchematicError("disconnected", "Ask again: the connection ended before the reply came");
  }

  /** Sends a request and gives its replies as they come. */
  ask(message: Out): AsyncIterableIterator<In | Unknown> {
    const reply = this.#spec.replies?.[message.name];
    if (!reply) throw new SchematicError("lifecycle", `${message.name} has no reply: send it without waiting for one`);
    this.#lifecycle.check(message.name);
    const id = reply.request ? lookUp(message.body, reply.request) : message.id;
    const named = (names: readonly string[] = []) => (m: In | Unknown) => names.includes(m.name);
    const { reconnect } = this.#spec;
    const survives = reconnect && "replay" in reconnect && reconnect.replay.subscriptions.some((each) => each.message === message.name);
    let left = reply.count ?? 1;
    const replies = this.connection.requestMany(message, {
      ...(id === undefined ? {} : { id }),
      ...(reply.timeout_ms === undefined ? {} : { timeout_ms: reply.timeout_ms }),
      survives,
      accepts: named([...reply.messages, ...(reply.errors ?? []), ...(reply.until ?? [])]),
      fails: named(reply.errors),
      last: reply.until ? named(reply.until) : () => (left -= 1) === 0,
    });
    this.#remember(message);
    return replies;
  }

  // What is kept for the next connection

  #remember(message: Out): void {
    this.#lifecycle.said(message.name);
    if (message.name === this.#spec.lifecycle.initialize) this.#initialize = message;
    const { reconnect, heartbeats = [] } = this.#spec;
    for (const { ping } of heartbeats.flatMap(({ echo = [] }) => echo)) {
      const id = lookUp(message.body, ping);
      if (typeof id === "number") this.#lastId = Math.max(this.#lastId, id);
    }
    if (!reconnect || !("replay" in reconnect)) return;
    for (const { message: name, endedBy, key } of reconnect.replay.subscriptions) {
      const id = JSON.stringify([name, lookUp(message.body, key) ?? null]);
      if (message.name === name) this.#subscriptions.set(id, message);
      else if (message.name === endedBy) this.#subscriptions.delete(id);
    }
  }

  #read(message: In | Unknown): In | Unknown {
    const { reconnect, heartbeats = [] } = this.#spec;
    if (reconnect && "token" in reconnect) this.#capture(message, reconnect.token.capture);
    for (const { given } of heartbeats) {
      const interval = given?.message === message.name ? lookUp(body(message), given.path) : undefined;
      if (typeof interval === "number") this.connection.setHeartbeat(interval);
    }
    return message;
  }

  #capture(message: In | Unknown, specs: readonly CaptureSpec[]): void {
    for (const { name, messages, path } of specs) {
      if (messages.length > 0 && !messages.includes(message.name)) continue;
      const value = lookUp(body(message), path);
      if (value !== undefined && value !== null) this.#captured.set(name, value);
    }
  }

  #opening({ reconnect, resume }: Opening): (Out | Unknown)[] {
    const spec = this.#spec.reconnect;
    if (!reconnect || !spec) return [];
    if ("token" in spec) return resume && this.#captured.size > 0 ? [this.#resumeMessage(spec.token)] : this.#again();
    const opening = spec.replay.opening ? this.#again() : [];
    // What still waits in the queue is said from there.
    return [...opening, ...[...this.#subscriptions.values()].filter((message) => !this.connection.queues(message))];
  }

  #again(): Out[] {
    this.#captured.clear();
    return this.#initialize && !this.connection.queues(this.#initialize) ? [this.#initialize] : [];
  }

  #fate(message: Out | Unknown): Fate {
    const { reconnect, idempotent = [] } = this.#spec;
    const said: (Out | Unknown)[] = [...this.#subscriptions.values()];
    if (reconnect && this.#initialize && ("token" in reconnect || reconnect.replay.opening)) said.push(this.#initialize);
    if (said.includes(message)) return "restored";
    return idempotent.includes(message.name) ? "again" : "unknown";
  }

  /** Puts the credential into a message that has a place for it and no other there. */
  #complete(message: Out | Unknown): Out | Unknown {
    const secret = this.#secret;
    const way = this.#spec.auth?.find((each) => "message" in each && each.message === message.name);
    if (secret === undefined || !way || !("message" in way) || lookUp(body(message), way.path)) return message;
    const filled = structuredClone(body(message) ?? {}) as Record<string, unknown>;
    put(filled, way.path, secret);
    return { ...message, body: filled } as Out;
  }

  #resumeMessage({ message, capture }: { readonly message: string; readonly capture: readonly CaptureSpec[] }): Out {
    const content = {};
    for (const { name, into } of capture) if (into.length > 0) put(content, into, this.#captured.get(name));
    return { name: message, body: content } as unknown as Out;
  }

  #heartbeat(): HeartbeatHooks<In | Unknown, Out | Unknown> {
    const { heartbeats = [] } = this.#spec;
    const asks = heartbeats.find(({ from }) => from === "client");
    const beats = heartbeats.map(({ from, ping, pong }) => (from === "server" ? ping : pong));
    return {
      ping: asks && (() => this.#ping(asks)),
      isBeat: (message) => beats.includes(message.name),
      pong: (message) => pongTo(heartbeats, message) as Out | undefined,
    };
  }

  #ping({ ping, echo = [], carries = [] }: HeartbeatSpec): Out {
    const content = {};
    for (const { name, into } of carries) put(content, into, this.#captured.get(name) ?? null);
    for (const each of echo) put(content, each.ping, this.nextId());
    return { name: ping, body: content } as unknown as Out;
  }

  // Where to connect to

  async #target(params: Readonly<Record<string, ParamValue>>, { signal, resume: resumes }: Attempt): Promise<Target> {
    const { baseUrl, path, query, subprotocols = [], headers = {}, auth = [] } = this.#spec;
    const options = this.#options;
    const credential = await this.#credential();
    const way = credential === undefined ? auth.find((each) => "call" in each) : chooseWay(auth, options.sendsHeaders ?? options.transport?.sendsHeaders ?? false);
    const resume = resumes ? this.#resumeUrl() : undefined;
    const calls = way && "call" in way && resume === undefined ? way : undefined;
    const caller = { fetch: options.fetch, baseUrl: options.callBaseUrl, params, credential, signal };
    const given = calls ? await callForUrl(calls.call, calls.path, caller) : resume && new URL(resume);
    const url = given ? withQuery(given, query, params) : address(options.baseUrl ?? baseUrl, path, query, params);
    // Whoever has the address that a call gave may use it.
    const secrets = [...(credential === undefined ? [] : [credential]), ...(calls ? url.searchParams.values() : [])];
    const target = { url: url.href, protocols: subprotocols, headers, secrets };
    this.#secret = way && "message" in way ? credential : undefined;
    return way && credential !== undefined ? withCredential(target, way, credential) : target;
  }

  #resumeUrl(): string | undefined {
    const { reconnect } = this.#spec;
    const name = reconnect && "token" in reconnect ? reconnect.token.url : undefined;
    const url = name === undefined ? undefined : this.#captured.get(name);
    return typeof url === "string" ? url : undefined;
  }

  async #credential(): Promise<string | undefined> {
    const { credential } = this.#options;
    if (credential !== undefined) return typeof credential === "function" ? await credential() : credential;
    const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
    return this.#spec.env?.map((name) => process?.env?.[name]).find((value) => value !== undefined && value !== "");
  }
}

function body(message: Named): unknown {
  return message.body;
}

function put(into: Record<string, unknown>, [name = "", ...rest]: Path, value: unknown): void {
  if (value === undefined) return;
  if (rest.length === 0) into[name] = value;
  else put((into[name] ??= {}) as Record<string, unknown>, rest, value);
}

function pongTo(heartbeats: readonly HeartbeatSpec[], message: Named): Named | undefined {
  const beat = heartbeats.find(({ from, ping }) => from === "server" && ping === message.name);
  if (!beat?.pong) return undefined;
  const content = {};
  for (const { ping, pong } of beat.echo ?? []) put(content, pong, lookUp(message.body, ping));
  return { name: beat.pong, body: content };
}

type Ack<In, Out> = FirstAcknowledgement<In | Unknown, Out | Unknown>;

function firstAck<In extends Named, Out extends Named>({ firstAck: ack, lifecycle, reconnect }: EndpointSpec<In, Out>): Ack<In, Out> | undefined {
  if (!ack) return undefined;
  const token = reconnect && "token" in reconnect ? reconnect.token : undefined;
  const opens = [lifecycle.initialize, token?.message].filter((name) => name !== undefined);
  return {
    accepts: (message) => message.name === ack.message || message.name === token?.done,
    refuses: (message) => ack.refusedBy.includes(message.name),
    begins: opens.length > 0 ? (message) => opens.includes(message.name) : undefined,
    timeout_ms: ack.timeout_ms ?? 10_000,
  };
}

function replyId<In extends Named, Out extends Named>(spec: EndpointSpec<In, Out>): (message: In | Unknown) => unknown {
  const paths = new Map<string, Path>();
  for (const { messages, errors = [], until = [], reply } of Object.values(spec.replies ?? {})) {
    if (reply) for (const name of [...messages, ...errors, ...until]) paths.set(name, reply);
  }
  return (message) => {
    const path = paths.get(message.name);
    return path ? lookUp(body(message), path) : "id" in message ? message.id : undefined;
  };
}
