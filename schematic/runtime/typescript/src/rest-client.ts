//! A client of an API: attempts, waits between them, redirects, the credential.
//!
//! The credential goes to the API's own origin and nowhere else. A call that may not be repeated is sent once.

import { systemClock, type Clock } from "./clock.js";
import type { Fetch } from "./credential.js";
import { SchematicError, redact } from "./errors.js";
import { Opened, type About, type Reply, type Watcher } from "./rest-reply.js";
import { addressOf, callName, cookiesOf, encoded, headersOf, setHeader, type Call } from "./rest-request.js";
import { isLoopback } from "./target.js";

/** Where the credential stands. */
export type RestAuth = { readonly header: string; readonly prefix?: string } | { readonly query: string } | { readonly cookie: string } | "basic";

/** What a definition says about a whole API. */
export interface RestSpec {
  readonly baseUrl: string;
  readonly auth?: RestAuth;
  /** Environment variables that may hold the credential. */
  readonly env?: readonly string[];
  /** Environment variable that holds the user name. */
  readonly envUsername?: string;
}

/** When and how often an idempotent call is repeated: after 429, 502, 503, 504 and lost connections. Others never are. */
export interface RetryPolicy {
  /** Most repetitions of one call; with 0 nothing is repeated. */
  readonly max: number;
  /** Wait before the first; each further one doubles it. */
  readonly initial_ms: number;
  /** Longest wait of our own. */
  readonly longest_ms: number;
  /** Which part of a wait is left to chance, 0 to 1. */
  readonly jitter: number;
  /** Longest wait that `Retry-After` can ask for; what is longer counts as this. */
  readonly retryAfter_ms: number;
}

const RETRY: RetryPolicy = { max: 3, initial_ms: 500, longest_ms: 8_000, jitter: 0.25, retryAfter_ms: 60_000 };

/** What the caller says about a client. */
export interface RestOptions {
  /** Where the API is, if not where its definition says. */
  readonly baseUrl?: string | undefined;
  /** The credential; without it the one in the environment. */
  readonly credential?: string | undefined;
  /** The user name, for APIs that want one; without it the one in the environment. */
  readonly username?: string | undefined;
  /** Whether to go without a credential. */
  readonly anonymous?: boolean | undefined;
  /** How long one attempt may take until its body is whole; of a stream, how long it may be silent. */
  readonly timeout_ms?: number | undefined;
  readonly retry?: Partial<RetryPolicy> | undefined;
  /** Longest body that is read, in bytes. */
  readonly bodyBytes?: number | undefined;
  readonly fetch?: Fetch | undefined;
  readonly clock?: Clock | undefined;
}

/** What the caller says about one call. */
export interface CallOptions {
  /** Ends the call. */
  readonly signal?: AbortSignal | undefined;
}

const MAX_REDIRECTS = 10;
/** How much of a body with an error is read. */
const FAULT_BYTES = 2 ** 20;

/** Where an attempt is: it begins at the call's own address and moves with each redirect. */
interface Hop {
  readonly url: URL;
  readonly method: string;
  readonly body: Call["body"];
}

/** Sends calls. */
export class RestClient {
  readonly #base: URL;
  readonly #auth: RestAuth | undefined;
  /** As it is written in its place: with prefix, or user name. */
  readonly #written: string;
  readonly #secrets: readonly string[];
  readonly #retry: RetryPolicy;
  readonly #options: RestOptions;
  readonly #clock: Clock;

  /** An error of kind `auth` if there is no credential, `insecure` if it would travel unencrypted, `connect` if the address is none. */
  constructor(spec: RestSpec, options: RestOptions = {}) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#retry = { ...RETRY, ...options.retry };
    this.#base = base(options.baseUrl ?? spec.baseUrl);
    this.#auth = options.anonymous ? undefined : spec.auth;
    const credential = this.#auth ? found("credential", options.credential, spec.env ?? []) : "";
    this.#written = written(this.#auth, credential, spec, options);
    this.#secrets = [credential, this.#written.split(" ").pop() ?? ""].filter((secret) => secret !== "");
    if (this.#auth) refuseOpen(this.#base);
  }

  /** Sends a call and reads the whole reply, whose status is a success. */
  send(call: Call, options: CallOptions = {}): Promise<Reply> {
    return this.#exchange(call, options, (opened) => opened.whole());
  }

  /** Sends a call and hands the reply over, whose status is a success, before its body has come. */
  open(call: Call, options: CallOptions = {}): Promise<Opened> {
    return this.#exchange(call, options, (opened) => Promise.resolve(opened));
  }

  async #exchange<T>(call: Call, options: CallOptions, take: (opened: Opened) => Promise<T>): Promise<T> {
    if (Object.keys({ ...call.headers, ...call.cookies }).some((name) => /auth|cookie|key|token|secret|session/i.test(name))) refuseOpen(this.#base);
    for (let count = 1; ; count += 1) {
      const outcome = await this.#attempt(call, options, take);
      if ("taken" in outcome) return outcome.taken;
      const wait = count > this.#retry.max || !isIdempotent(call) ? undefined : this.#wait(outcome, count);
      if (wait === undefined) throw outcome.error;
      await this.#pause(wait, options.signal);
    }
  }

  /** One attempt, through all redirects, within its time. */
  async #attempt<T>(call: Call, options: CallOptions, take: (opened: Opened) => Promise<T>): Promise<{ taken: T } | Failed> {
    const about = { name: callName(call), secrets: this.#secrets, bodyBytes: this.#options.bodyBytes ?? 2 ** 26 };
    const watch = new Watch(this.#clock, this.#options.timeout_ms ?? 60_000, options.signal);
    try {
      const opened = new Opened(await this.#follow(call, about, watch.signal), about, watch);
      if (isSuccess(call, opened.status)) return { taken: await take(opened) };
      const reply = await opened.whole(false, Math.min(FAULT_BYTES, about.bodyBytes));
      return { error: reply.error(call.faults ?? {}), status: reply.status, headers: reply.headers };
    } catch (thrown) {
      watch.stop();
      return { error: watch.explain(thrown, about, false) };
    }
  }

  async #follow(call: Call, about: About, signal: AbortSignal): Promise<Response> {
    let hop: Hop = { url: addressOf(this.#base, call), method: call.method, body: call.body };
    const send = this.#options.fetch ?? fetch;
    for (let count = 0; count <= MAX_REDIRECTS; count += 1) {
      const [url, headers] = this.#request(call, hop);
      const { method, body } = hop;
      // They are followed by hand, because a key in a header of its own would go along to anybody.
      const response = await send(url.href, { method, headers, body: body?.content ?? null, redirect: "manual", signal });
      const next = nextHop(response, hop, about);
      if (!next) return response;
      // The connection is of use again when its body has come.
      await response.body?.cancel();
      hop = next;
    }
    throw new SchematicError("protocol", `${about.name}: the server redirects more than ${MAX_REDIRECTS} times`);
  }

  /** Address and headers of a hop, at home with the credential. */
  #request(call: Call, hop: Hop): [URL, Headers] {
    const headers = headersOf(call);
    if (!hop.body) headers.delete("content-type");
    const url = new URL(hop.url);
    if (url.origin !== this.#base.origin) {
      // What else the call carries is for the API alone.
      for (const name of [...headers.keys()]) if (name !== "accept" && name !== "content-type") headers.delete(name);
      return [url, headers];
    }
    const cookies = cookiesOf(call.cookies ?? {});
    const auth = this.#auth;
    if (auth === "basic") setHeader(headers, "authorization", this.#written);
    else if (auth && "header" in auth) setHeader(headers, auth.header, this.#written);
    else if (auth && "cookie" in auth) cookies.push(...cookiesOf({ [auth.cookie]: this.#written }));
    else if (auth && !url.searchParams.has(auth.query)) url.search = joinedQuery(url.search, auth.query, this.#written);
    if (cookies.length > 0) setHeader(headers, "cookie", cookies.join("; "));
    return [url, headers];
  }

  /** How long to wait before the call is repeated, if it is to be. */
  #wait({ error, status, headers }: Failed, count: number): number | undefined {
    const { initial_ms, longest_ms, jitter, retryAfter_ms } = this.#retry;
    const lost = error instanceof SchematicError && (error.kind === "connect" || error.kind === "disconnected");
    if (!lost && ![429, 502, 503, 504].includes(status ?? 0)) return undefined;
    const asked = headers && retryAfter(headers, this.#clock.now());
    if (asked !== undefined) return Math.min(asked, retryAfter_ms);
    return Math.min(initial_ms * 2 ** (count - 1), longest_ms) * (1 - jitter * this.#clock.random());
  }

  #pause(wait_ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        this.#clock.cancel(timer);
        reject(signal?.reason as Error);
      };
      const timer = this.#clock.after(wait_ms, () => {
        signal?.removeEventListener("abort", stop);
        resolve();
      });
      if (signal?.aborted) stop();
      else signal?.addEventListener("abort", stop, { once: true });
    });
  }
}

/** Why an attempt brought nothing. */
interface Failed {
  readonly error: unknown;
  readonly status?: number;
  readonly headers?: Headers;
}

/** Ends an attempt that is silent for too long, or that the caller has given up. */
class Watch implements Watcher {
  readonly #controller = new AbortController();
  #timer: unknown;
  #late = false;

  constructor(
    private readonly clock: Clock,
    private readonly timeout_ms: number,
    private readonly given: AbortSignal | undefined,
  ) {
    if (given?.aborted) this.#given();
    given?.addEventListener("abort", this.#given, { once: true });
    this.touch();
  }

  readonly #given = (): void => this.#controller.abort(this.given?.reason);

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Begins the time anew. */
  touch(): void {
    this.clock.cancel(this.#timer);
    this.#timer = this.clock.after(this.timeout_ms, () => {
      this.#late = true;
      this.#controller.abort();
    });
  }

  stop(): void {
    this.clock.cancel(this.#timer);
    this.given?.removeEventListener("abort", this.#given);
  }

  /** What was thrown as an error of the runtime, without secrets. What the caller has aborted stays as it is. */
  explain(thrown: unknown, about: About, reached: boolean): unknown {
    if (this.#late) return new SchematicError("timeout", `${about.name}: nothing came for ${this.timeout_ms} ms; allow more with timeout_ms`);
    if (this.given?.aborted) return this.given.reason;
    if (thrown instanceof Error && thrown.name !== "TypeError" && thrown.name !== "Error") return thrown;
    const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
    const why = cause instanceof Error ? cause.message : String(cause);
    const what = reached ? "the connection was lost in the body" : "the server cannot be reached";
    return new SchematicError(reached ? "disconnected" : "connect", redact(`${about.name}: ${what}: ${why}`, about.secrets));
  }
}

const isIdempotent = ({ method }: Call): boolean => method !== "POST" && method !== "PATCH";

function isSuccess({ accepts }: Call, status: number): boolean {
  return accepts ? accepts.includes(status) : status >= 200 && status < 300;
}

function base(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
    // The address itself stays out of the sentence: it may hold a credential.
    throw new SchematicError("connect", "Give an address that begins with http:// or https:// and has no user, query or fragment");
  }
  return url;
}

function refuseOpen(url: URL): void {
  if (url.protocol !== "http:" || isLoopback(url.hostname)) return;
  throw new SchematicError("insecure", `Use https:// for ${url.host}: http:// would send the credentials unencrypted`);
}

function written(auth: RestAuth | undefined, credential: string, spec: RestSpec, options: RestOptions): string {
  if (auth !== "basic") return auth && "header" in auth ? (auth.prefix ?? "") + credential : credential;
  const user = found("user name", options.username, spec.envUsername === undefined ? [] : [spec.envUsername]);
  return `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode(`${user}:${credential}`)))}`;
}

/** What is given, or the first of the environment variables that is set and not empty. */
function found(what: string, given: string | undefined, names: readonly string[]): string {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
  const value = given ?? names.map((name) => process?.env?.[name]).find((candidate) => candidate !== undefined && candidate !== "");
  if (value !== undefined) return value;
  const or = names.length === 0 ? "" : ` or set ${names.join(" or ")}`;
  throw new SchematicError("auth", `There is no ${what}: give one in the options${or}, or call as anonymous`);
}

function joinedQuery(search: string, name: string, value: string): string {
  return `${search === "" ? "?" : `${search}&`}${encoded(name)}=${encoded(value)}`;
}

/** Where a redirect leads, if the response is one. */
function nextHop(response: Response, hop: Hop, about: About): Hop | undefined {
  const refuse = (kind: "protocol" | "insecure", what: string): never => {
    throw new SchematicError(kind, `${about.name}: the server redirects ${what}`);
  };
  if (response.type === "opaqueredirect") refuse("protocol", "which a browser does not let us follow safely; call that address");
  const location = response.headers.get("location");
  if (location === null || ![301, 302, 303, 307, 308].includes(response.status)) return undefined;
  const url = URL.canParse(location, hop.url.href) ? new URL(location, hop.url) : refuse("protocol", "to no address");
  url.hash = "";
  if (!/^https?:$/.test(url.protocol)) refuse("protocol", "to an address that is not http:// or https://");
  const elsewhere = url.origin !== hop.url.origin;
  if (elsewhere && redact(url.href, about.secrets) !== url.href) refuse("insecure", "to another origin with the credential in the address; it is not followed");
  // As browsers do: 303 always reads, and what was posted is not posted anew after 301 and 302.
  const reads = response.status === 303 ? hop.method !== "HEAD" : response.status < 303 && hop.method === "POST";
  const next: Hop = reads ? { url, method: "GET", body: undefined } : { ...hop, url };
  if (elsewhere && next.body) refuse("insecure", "the body to another origin; give that address as base address if you trust it");
  return next;
}

/** How long the server asks to wait: seconds, or a date. */
function retryAfter(headers: Headers, now_ms: number): number | undefined {
  const text = headers.get("retry-after")?.trim() ?? "";
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  // Only dates with a time of day; a number alone would be read as a year.
  const date = /GMT$/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now_ms);
}
