//! What a generated client is made of: one endpoint of a definition, with its messages, its order and its policy,
//! put onto a connection.
//!
//! Generated files hand in plain data; what it means is here. Sockets, time and retries are the connection's.

import { Connection, type ConnectionOptions, type HeartbeatHooks, type Opening } from "./connection.js";
import { SchematicError } from "./errors.js";
import { Lifecycle, type LifecycleSpec, type SessionPhase } from "./lifecycle.js";
import { lookUp, type Messages, type Named, type Unknown } from "./messages.js";
import type { Outgoing } from "./outbox.js";
import type { ConnectionPolicy } from "./policy.js";
import type { Attempt, Target } from "./target.js";

/** A path of member names. */
export type Path = readonly string[];

/** A way to prove who one is. */
export type AuthWay =
  | { readonly header: string; readonly prefix?: string }
  | { readonly query: string; readonly prefix?: string }
  | { readonly cookie: string }
  | { readonly subprotocol: string; readonly beside?: readonly string[] }
  | { readonly message: string; readonly path: Path };

/** A heartbeat of messages. */
export interface HeartbeatSpec {
  readonly from: "client" | "server";
  readonly ping: string;
  readonly pong?: string;
  /** Members of the ping that the pong repeats. */
  readonly echo?: readonly { readonly ping: Path; readonly pong: Path }[];
  /** Where the server says the interval. */
  readonly given?: { readonly message: string; readonly path: Path };
}

/** What restores a session on a new connection. */
export type ReconnectSpec =
  | { readonly replay: { readonly opening: boolean; readonly subscriptions: readonly SubscriptionSpec[] } }
  | { readonly token: { readonly message: string; readonly capture: readonly CaptureSpec[]; readonly url?: string } };

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
  readonly replies?: Readonly<Record<string, ReplySpec>>;
}

/** A value of a connection parameter. */
export type ParamValue = string | number | boolean | undefined;

/** What the user of a generated client may choose. */
export interface EndpointOptions<In extends Named, Out extends Named>
  extends Omit<ConnectionOptions<In | Unknown, Out | Unknown>, "codec" | "target"> {
  /** The server, if it is not the one of the definition. */
  readonly baseUrl?: string | undefined;
  /** The whole target of an attempt, in place of what is made from parameters and credential. */
  readonly target?: ((attempt: Attempt) => string | Target | Promise<string | Target>) | undefined;
  /** The credential, or who obtains one before every attempt; else the environment variables of the definition. */
  readonly credential?: string | (() => string | undefined | Promise<string | undefined>) | undefined;
  /** Whether the transport can send headers; browsers cannot. */
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

  constructor(spec: EndpointSpec<In, Out>, params: Readonly<Record<string, ParamValue>>, options: EndpointOptions<In, Out>) {
    this.#spec = spec;
    this.#options = options;
    this.#lifecycle = new Lifecycle(spec.lifecycle);
    this.connection = new Connection<In | Unknown, Out | Unknown>({
      firstAck: firstAck(spec),
      coalesceKey: spec.coalesce && ((message) => lookUp(body(message), spec.coalesce ?? [])),
      replyId: replyId(spec),
      opening: (opening) => this.#opening(opening),
      ...options,
      codec: { encode: (message) => spec.client.encode(message), decode: (frame) => this.#read(spec.server.decode(frame)) },
      target: options.target ?? (() => this.#target(params)),
      policy: { ...spec.policy, ...options.policy },
      heartbeat: options.heartbeat ?? this.#heartbeat(),
    });
    this.connection.on("closed", () => this.#lifecycle.restart());
  }

  /** Where the session is. */
  get phase(): SessionPhase {
    return this.#lifecycle.phase;
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
    const id = reply.request && lookUp(message.body, reply.request);
    const named = (names: readonly string[] = []) => (m: In | Unknown) => names.includes(m.name);
    let left = reply.count ?? 1;
    const replies = this.connection.requestMany(message, {
      ...(id === undefined ? {} : { id }),
      ...(reply.timeout_ms === undefined ? {} : { timeout_ms: reply.timeout_ms }),
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
    const { reconnect } = this.#spec;
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
    return [...opening, ...this.#subscriptions.values()];
  }

  #again(): Out[] {
    return this.#initialize ? [this.#initialize] : [];
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
      ping: asks && (() => ({ name: asks.ping, body: {} }) as unknown as Out),
      isBeat: (message) => beats.includes(message.name),
      pong: (message) => pongTo(heartbeats, message) as Out | undefined,
    };
  }

  // Where to connect to

  async #target(params: Readonly<Record<string, ParamValue>>): Promise<Target> {
    const { baseUrl, path, query, subprotocols = [], headers = {}, auth = [] } = this.#spec;
    const filled = path.replace(/\{([^}]*)\}/g, (_, name: string) => encodeURIComponent(String(params[name])));
    const url = new URL(this.#resumeUrl() ?? (this.#options.baseUrl ?? baseUrl).replace(/\/+$/, "") + filled);
    for (const name of query) if (params[name] !== undefined) url.searchParams.set(name, String(params[name]));
    const credential = await this.#credential();
    const target = { url: url.href, protocols: subprotocols, headers, secrets: credential === undefined ? [] : [credential] };
    return credential === undefined ? target : withCredential(target, auth, credential, this.#options.sendsHeaders ?? false);
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

function firstAck<In extends Named, Out extends Named>(spec: EndpointSpec<In, Out>): ConnectionOptions<In | Unknown, Out>["firstAck"] {
  const message = spec.firstAck?.message ?? spec.serverFirst;
  // Without an opening message to wait for, the server speaks first; with one, it answers what waits in the queue.
  if (message === undefined || (spec.serverFirst === undefined && spec.lifecycle.initialize !== undefined)) return undefined;
  const refusedBy = spec.firstAck?.refusedBy ?? [];
  return { accepts: (m) => m.name === message, refuses: (m) => refusedBy.includes(m.name), timeout_ms: spec.firstAck?.timeout_ms ?? 10_000 };
}

function replyId<In extends Named, Out extends Named>(spec: EndpointSpec<In, Out>): (message: In | Unknown) => unknown {
  const paths = new Map<string, Path>();
  for (const { messages, errors = [], until = [], reply } of Object.values(spec.replies ?? {})) {
    if (reply) for (const name of [...messages, ...errors, ...until]) paths.set(name, reply);
  }
  return (message) => lookUp(body(message), paths.get(message.name) ?? [""]);
}

interface FullTarget extends Target {
  readonly protocols: readonly string[];
}

function withCredential(target: FullTarget, ways: readonly AuthWay[], credential: string, headers: boolean): Target {
  const way = ways.find((candidate) => headers || !("header" in candidate || "cookie" in candidate));
  if (!way) throw new SchematicError("auth", "This endpoint wants the credential in a header: use a transport that can send headers");
  if ("query" in way) {
    const url = new URL(target.url);
    url.searchParams.set(way.query, (way.prefix ?? "") + credential);
    return { ...target, url: url.href };
  }
  if ("header" in way) return { ...target, headers: { ...target.headers, [way.header]: (way.prefix ?? "") + credential } };
  if ("cookie" in way) return { ...target, headers: { ...target.headers, Cookie: `${way.cookie}=${credential}` } };
  if ("subprotocol" in way) return { ...target, protocols: [...target.protocols, ...(way.beside ?? []), way.subprotocol + credential] };
  return target;
}
