//! Where a credential travels: in the upgrade, in the first message, or in an HTTP call that gives the address.
//!
//! Which way is taken is decided here. Whether it is safe is judged by the target; when, by the connection.

import { isLoopback, type Target } from "./target.js";
import { SchematicError, asError } from "./errors.js";
import { lookUp } from "./messages.js";

/** A path of member names. */
export type Path = readonly string[];

/** A value of a connection parameter. */
export type ParamValue = string | number | boolean | undefined;

/** An HTTP call whose answer holds the address. */
export interface CallSpec {
  readonly method: string;
  readonly baseUrl: string;
  readonly path: string;
  /** Names of its query parameters; they are taken from the parameters of the connection. */
  readonly query?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  /** How it carries the credential. */
  readonly auth?: UpgradeWay;
}

/** A way to show a credential in the request itself. */
export type UpgradeWay =
  | { readonly header: string; readonly prefix?: string }
  | { readonly query: string; readonly prefix?: string }
  | { readonly cookie: string }
  | { readonly subprotocol: string; readonly beside?: readonly string[] };

/** A way to prove who one is. */
export type AuthWay =
  | UpgradeWay
  /** In a member of this message. */
  | { readonly message: string; readonly path: Path }
  /** In an address that a call gives, at this path of its answer. */
  | { readonly call: CallSpec; readonly path: Path };

/** The part of `fetch` that is used. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** The first way that can be gone. */
export function chooseWay(ways: readonly AuthWay[], headers: boolean): AuthWay {
  const way = ways.find((candidate) => headers || !("header" in candidate || "cookie" in candidate));
  if (!way) throw new SchematicError("auth", "This endpoint wants the credential in a header: use a transport that can send headers");
  return way;
}

/** The target with the credential in it. */
export function withCredential(target: Target, way: AuthWay, credential: string): Target {
  const { protocols = [], headers } = target;
  if ("query" in way) {
    const url = new URL(target.url);
    url.searchParams.set(way.query, (way.prefix ?? "") + credential);
    return { ...target, url: url.href };
  }
  if ("header" in way) return { ...target, headers: { ...headers, [way.header]: headerValue(way.prefix ?? "", credential) } };
  if ("cookie" in way) return { ...target, headers: { ...headers, Cookie: `${way.cookie}=${credential}` } };
  if ("subprotocol" in way) return { ...target, protocols: [...protocols, ...(way.beside ?? []), way.subprotocol + credential] };
  return target;
}

/** What stands behind `Basic` is in base64; a credential that is not yet has a colon. */
function headerValue(prefix: string, credential: string): string {
  if (prefix !== "Basic " || !credential.includes(":")) return prefix + credential;
  return prefix + btoa(String.fromCharCode(...new TextEncoder().encode(credential)));
}

/** The address of a template: parameters in their places, those of the query behind it. */
export function address(baseUrl: string, path: string, query: readonly string[], params: Readonly<Record<string, ParamValue>>): URL {
  const filled = path.replace(/\{([^}]*)\}/g, (_, name: string) => encodeURIComponent(String(params[name])));
  return withQuery(new URL(baseUrl.replace(/\/+$/, "") + filled), query, params);
}

/** The address with the parameters that are given. */
export function withQuery(url: URL, query: readonly string[], params: Readonly<Record<string, ParamValue>>): URL {
  for (const name of query) if (params[name] !== undefined) url.searchParams.set(name, String(params[name]));
  return url;
}

/** What a call is made with. */
export interface Caller {
  readonly fetch?: Fetch | undefined;
  readonly baseUrl?: string | undefined;
  readonly params: Readonly<Record<string, ParamValue>>;
  readonly credential: string | undefined;
  readonly signal: AbortSignal;
}

/** Calls for the address; an error of kind `auth` where the credential is refused. */
export async function callForUrl(call: CallSpec, path: Path, caller: Caller): Promise<URL> {
  try {
    return await answeredUrl(call, path, caller);
  } catch (thrown) {
    throw asError(thrown, "connect", [caller.credential ?? ""]);
  }
}

async function answeredUrl(call: CallSpec, path: Path, caller: Caller): Promise<URL> {
  const request = callRequest(call, caller);
  // No credentials to wherever a redirect leads.
  const init: RequestInit = { method: call.method, headers: { accept: "application/json", ...request.headers }, redirect: "error", signal: caller.signal };
  const response = await (caller.fetch ?? fetch)(request.url, init);
  const text = await response.text();
  if (!response.ok) {
    const kind = response.status === 401 || response.status === 403 ? "auth" : "connect";
    throw new SchematicError(kind, `The call for the address was answered with status ${response.status}`, text);
  }
  const found = lookUp(json(text), path);
  if (typeof found === "string" && URL.canParse(found)) return new URL(found);
  throw new SchematicError("shape", `The answer to the call has no address at ${path.join(".")}`, text);
}

function callRequest(call: CallSpec, { baseUrl, params, credential }: Caller): Target {
  const url = address(baseUrl ?? call.baseUrl, call.path, call.query ?? [], params);
  if (url.protocol === "http:" && credential !== undefined && !isLoopback(url.hostname)) {
    throw new SchematicError("insecure", `Use https:// for ${url.host}: http:// would send the credentials unencrypted`);
  }
  const target = { url: url.href, headers: call.headers };
  return credential === undefined || !call.auth ? target : withCredential(target, call.auth, credential);
}

function json(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
