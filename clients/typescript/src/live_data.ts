//! Records and their changes, over any number of connections.
//!
//! Requests are answered once or fail with a sentence. A watch goes on where it was after each reconnect, and tells
//! each change once. What a reader keeps of the records, and how a page shows them, is left to whoever asks.

import {
  SchematicError,
  type Clock,
  type ConnectionPolicy,
  type ConnectionState,
  type Transport,
  type Unknown,
  type Wake,
} from "@tidewire/schematic-runtime";
import { LiveClient, type ClientMessage, type ServerMessage, type SortField } from "./generated/live_data.js";
import { asStatus, withTicket, type LinkCredentials, type LinkStatus } from "./link.js";
import { asRecord, asRecords, type DataRecord } from "./records.js";
import { Watch, type WatchListener, type WatchOptions } from "./watch.js";

export { SchematicError, webSocketTransport, type ErrorKind } from "@tidewire/schematic-runtime";
export type { LinkStatus } from "./link.js";
export type { DataRecord } from "./records.js";
export type { Change, Watch, WatchListener, WatchOptions } from "./watch.js";

/** The server does not do what was asked; the message says why, in a sentence. */
export class LiveDataError extends Error {
  override readonly name = "LiveDataError";
  /** As an HTTP status: 403 may not, 404 is not there, 409 was changed, 422 breaks the schema. */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** A condition on one member. */
export interface Condition {
  readonly type: "Condition";
  readonly content: { readonly field: string; readonly operator: Operator; readonly value: unknown };
}

/** What a condition can ask. */
export type Operator =
  | "Eq" | "Ne" | "Gt" | "Gte" | "Lt" | "Lte" | "In" | "NotIn" | "Contains" | "StartsWith" | "EndsWith" | "Exists";

/** Which records: a condition, or several together. */
export type Filter =
  | Condition
  | { readonly type: "Logical"; readonly content: { readonly operator: "And" | "Or" | "Not"; readonly expressions: readonly Filter[] } };

/** What a query wants; everything may be left out. */
export interface QueryOptions {
  readonly filter?: Filter | undefined;
  /** Members by which records are ordered; ties go by id. */
  readonly sort?: readonly { readonly field: string; readonly ascending?: boolean }[] | undefined;
  readonly limit?: number | undefined;
  readonly skip?: number | undefined;
  /** Only these members, and the id. */
  readonly fields?: readonly string[] | undefined;
}

/** What live data is made from. */
export interface LiveDataOptions extends LinkCredentials {
  /** The address of the server, `http(s)` or `ws(s)`; `/api/ws` is appended to it. */
  readonly baseUrl: string;
  /** What is different from the usual about reconnecting, queues and time limits. */
  readonly policy?: Partial<ConnectionPolicy>;
  readonly transport?: Transport;
  readonly clock?: Clock;
  readonly wake?: Wake;
}

/** Comes back for as long as it takes; half a minute at most between two attempts. */
const RECONNECT = { initial_ms: 500, max_ms: 30_000, jitter: 0.5, max_attempts: Infinity, min_uptime_ms: 5_000 };

/** Time between two questions that only ask whether the server is still there, and for the answer, in milliseconds. */
const BEAT = { heartbeat_ms: 25_000, heartbeat_reply_ms: 10_000 };
/** The id of such a question. */
const BEAT_ID = "beat";

type Incoming = ServerMessage | Unknown;
type Request = Exclude<ClientMessage, Unknown>;

/** Records of one server. Nothing happens before the first request, watch or `connect`. */
export class LiveData {
  readonly #client: LiveClient;
  readonly #watches = new Map<string, Watch>();
  readonly #listeners = new Set<(status: LinkStatus) => void>();
  #status: LinkStatus = { state: "idle" };
  #lastId = 0;

  constructor(options: LiveDataOptions) {
    const { baseUrl, transport, clock, wake, policy } = options;
    const address = `${baseUrl.replace(/\/+$/, "")}/api/ws`;
    this.#client = new LiveClient(
      {},
      {
        target: () => withTicket(address, options),
        // Ids lie in the envelope, beside the body.
        replyId: (message) => ("id" in message ? message.id : undefined),
        // Pages never see the server's pings, so a line that is cut somewhere between is noticed by asking.
        heartbeat: {
          ping: () => ({ name: "GetCollections", body: {}, id: BEAT_ID }),
          isBeat: (message) => "id" in message && message.id === BEAT_ID,
        },
        transport,
        clock,
        wake,
        policy: { reconnect: RECONNECT, ...BEAT, ...policy },
      },
    );
    this.#client.connection.on("state", (state) => this.#state(state));
    this.#client.onMessage((message) => this.#message(message));
  }

  /** How things stand with the connection. */
  get status(): LinkStatus {
    return this.#status;
  }

  /** Calls `listener` with how things stand, now and at every change. The function that comes back ends this. */
  onStatus(listener: (status: LinkStatus) => void): () => void {
    this.#listeners.add(listener);
    listener(this.#status);
    return () => void this.#listeners.delete(listener);
  }

  /** Begins to connect. Does nothing where it already goes on. */
  connect(): void {
    this.#client.open();
  }

  /** Connects now instead of at the end of the delay, and also after it was refused. */
  retryNow(): void {
    if (this.#status.state !== "closed") this.#client.connection.tryNow();
  }

  /** Ends the connection and everything that waits for it. */
  close(): void {
    this.#setStatus({ state: "closed" });
    this.#client.close();
  }

  // Reading

  /** The names of the collections that the asker may read. */
  async collections(): Promise<string[]> {
    return (await this.#ask({ name: "GetCollections", body: {} })) as string[];
  }

  /** Records that fit, in an order. */
  async query(collection: string, { fields, filter, sort, limit, skip }: QueryOptions = {}): Promise<DataRecord[]> {
    const body = given({ collection, filter, sort: sort as SortField[] | undefined, limit, skip, select_fields: fields as string[] | undefined });
    return asRecords(await this.#ask({ name: "Query", body }));
  }

  /** One record; a `LiveDataError` with code 404 if it is not there. */
  async get(collection: string, id: string): Promise<DataRecord> {
    return one(await this.#ask({ name: "FindById", body: { collection, id } }));
  }

  /** The different values of a member, sorted. */
  async distinct(collection: string, field: string, filter?: Filter): Promise<unknown[]> {
    return (await this.#ask({ name: "DistinctValues", body: given({ collection, field, filter }) })) as unknown[];
  }

  // Writing. What was under way when the connection was lost fails with kind `disconnected`: look before trying again.

  /** Writes a new record and gives its id. */
  async insert(collection: string, record: Readonly<Record<string, unknown>>): Promise<string> {
    const { id } = (await this.#ask({ name: "Insert", body: { collection, record } })) as { id: string };
    return id;
  }

  /** Changes members of a record and gives all of it. */
  async update(collection: string, id: string, changes: Readonly<Record<string, unknown>>): Promise<DataRecord> {
    return one(await this.#ask({ name: "Update", body: { collection, id, record: changes } }));
  }

  /** Removes a record and gives it as it was. */
  async delete(collection: string, id: string): Promise<DataRecord> {
    return one(await this.#ask({ name: "Delete", body: { collection, id } }));
  }

  // Watching

  /**
   * Tells `listener` of every change of a collection, from now on or since an offset, over reconnects. A connection
   * watches a collection once: a second watch of it is an error.
   */
  watch(collection: string, listener: WatchListener, options: WatchOptions = {}): Watch {
    if (this.#watches.has(collection)) throw new SchematicError("lifecycle", `Stop the watch of ${collection} before beginning another`);
    const ask = (request: Request): Promise<unknown> => this.#ask(request);
    const watch = new Watch(collection, listener, options, ask, () => this.#stopped(watch));
    this.#watches.set(collection, watch);
    if (this.#status.state === "online") watch.begin();
    else this.connect();
    return watch;
  }

  #stopped(watch: Watch): void {
    if (this.#watches.get(watch.collection) === watch) this.#watches.delete(watch.collection);
  }

  // What is heard

  #message(message: Incoming): void {
    switch (message.name) {
      case "MutationNotification":
        return this.#watches.get(message.body.collection)?.notice(message.body);
      case "SchemaChanged":
        return this.#watches.get(message.body.collection)?.schemaChanged();
      case "Gap":
        return this.#watches.get(message.body.collection)?.gap();
    }
  }

  #state(state: ConnectionState): void {
    if (this.#status.state === "closed") return;
    const status = asStatus(state);
    if (status) this.#setStatus(status);
    if (status?.state === "online") for (const watch of this.#watches.values()) watch.begin();
    else for (const watch of this.#watches.values()) watch.lost();
  }

  #setStatus(status: LinkStatus): void {
    this.#status = status;
    for (const listener of [...this.#listeners]) listener(status);
  }

  async #ask(request: Request): Promise<unknown> {
    const id = `r-${(this.#lastId += 1)}`;
    if (this.#status.state === "idle") this.connect();
    const reply = await this.#client.connection.request({ ...request, id } as ClientMessage, { id, accepts: isReply });
    if (reply.name === "Error") throw new LiveDataError(reply.body.code, reply.body.message);
    return reply.name === "Success" ? reply.body.data : undefined;
  }
}

function isReply(message: Incoming): boolean {
  return message.name === "Success" || message.name === "Error";
}

function one(wire: unknown): DataRecord {
  const record = asRecord(wire);
  if (!record) throw new SchematicError("shape", "The server answered without a record; it may be newer than this page");
  return record;
}

/** The object without what is undefined: an absent member is not a null one. */
function given<T extends object>(members: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never;
}
