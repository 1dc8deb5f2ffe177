//! From what the caller gave to the request of one attempt: the address, the credentials, and whether they may
//! travel that way.

import { SchematicError, secretsOf } from "./errors.js";
import type { LinkRequest } from "./transport.js";

/** Which attempt to connect this is. */
export interface Attempt {
  /** Counts from 1 after each stable connection. */
  readonly attempt: number;
  /** Whether there was a connection before. */
  readonly reconnect: boolean;
  /** Whether the session may be taken up where it was. */
  readonly resume: boolean;
  /** Aborts when the attempt is given up. */
  readonly signal: AbortSignal;
}

/** Where to connect to, and as whom. */
export interface Target {
  /** Address; `http` and `https` stand for `ws` and `wss`. */
  readonly url: string;
  /** Subprotocols to offer; if there are any, the server has to choose one of them. */
  readonly protocols?: readonly string[] | undefined;
  /** Headers of the upgrade request; only outside of browsers. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Values that may not appear in errors, beside the ones that the address itself gives away. */
  readonly secrets?: readonly string[] | undefined;
}

/** A target, an address, or a function that is asked for either before every attempt. */
export type TargetSource = string | Target | ((attempt: Attempt) => string | Target | Promise<string | Target>);

/** A checked request, and the secrets in it. */
export interface Prepared {
  readonly request: LinkRequest;
  readonly secrets: readonly string[];
}

/** Asks for the target of an attempt and checks it. */
export async function prepare(source: TargetSource, attempt: Attempt): Promise<Prepared> {
  const given = typeof source === "function" ? await source(attempt) : source;
  const target: Target = typeof given === "string" ? { url: given } : given;
  const url = parse(target.url);
  const headers = target.headers ?? {};
  const secrets = [...secretsOf(url), ...(target.secrets ?? []), ...authorization(headers)];
  if (url.protocol === "ws:" && secrets.length > 0 && !isLoopback(url.hostname)) {
    throw new SchematicError("insecure", `Use wss:// for ${url.host}: ws:// would send the credentials unencrypted`);
  }
  return { request: { url: url.href, protocols: target.protocols ?? [], headers }, secrets };
}

function parse(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    // The address itself stays out of the sentence: it may hold a credential.
    throw new SchematicError("connect", "Give an absolute address that begins with ws:// or wss://");
  }
  url.protocol = url.protocol.replace(/^http/, "ws");
  if (url.protocol !== "ws:" && url.protocol !== "wss:") {
    throw new SchematicError("connect", `Give an address that begins with ws:// or wss:// instead of ${url.protocol}`);
  }
  url.hash = "";
  return url;
}

function authorization(headers: Readonly<Record<string, string>>): string[] {
  return Object.entries(headers)
    .filter(([name]) => /auth|cookie|key|token|secret/i.test(name))
    .map(([, value]) => value);
}

/** Whether a host is this machine. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}
