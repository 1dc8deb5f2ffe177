//! From a call as generated code describes it to the address and headers of a request.

import { SchematicError } from "./errors.js";
import type { RestBody } from "./rest-body.js";
import type { Faults } from "./rest-reply.js";

/** A value of a parameter; absent ones are not written. */
export type RestValue = string | number | boolean | undefined;

/** Parameters by their names on the wire. */
export type RestParams = Readonly<Record<string, RestValue>>;

/** One request. */
export interface Call {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD" | "OPTIONS";
  /** Path template. */
  readonly path: string;
  /** What stands in its braces. */
  readonly in?: RestParams;
  readonly query?: RestParams;
  readonly headers?: RestParams;
  /** Outside of browsers only, which send their own. */
  readonly cookies?: RestParams;
  readonly body?: RestBody | undefined;
  /** The statuses that count as success; without them every one from 200 to 299. */
  readonly accepts?: readonly number[];
  /** The declared errors. */
  readonly faults?: Faults;
  /** Takes the place of path and query. */
  readonly url?: URL;
}

/** How errors name a call: without values, which may be secret. */
export const callName = ({ method, path }: Call): string => `${method} ${path}`;

/** Text as part of a path or query. */
export function encoded(text: string): string {
  try {
    return encodeURIComponent(text);
  } catch {
    throw new SchematicError("shape", "A value holds half of a character (a lone surrogate), which cannot be sent");
  }
}

/** The address of a call below a base. */
export function addressOf(base: URL, call: Call): URL {
  if (call.url) return call.url;
  const path = call.path.replace(/\{([^}]*)\}/g, (_, name: string) => segment(name, call.in?.[name]));
  const pairs = Object.entries(call.query ?? {}).filter(([, value]) => value !== undefined);
  const query = pairs.map(([name, value]) => `${encoded(name)}=${encoded(String(value))}`).join("&");
  const joint = query === "" ? "" : path.includes("?") ? "&" : "?";
  return new URL(base.href.replace(/\/+$/, "") + path + joint + query);
}

function segment(name: string, value: RestValue): string {
  const text = value === undefined ? "" : String(value);
  // Servers and address parsers take these away, so that another endpoint would be called.
  if (text === "" || text === "." || text === "..") {
    throw new SchematicError("shape", `The path parameter ${name} is "${text}", which names nothing; give a name`);
  }
  return encoded(text);
}

/** The headers of a call, without its cookies. */
export function headersOf(call: Call): Headers {
  const headers = new Headers();
  if (call.body) headers.set("content-type", call.body.contentType);
  for (const [name, value] of Object.entries(call.headers ?? {})) {
    // The boundary of a form is part of its media type, so that no other would be understood.
    const fixed = name.toLowerCase() === "content-type" && call.body?.contentType.startsWith("multipart/");
    if (value !== undefined && !fixed) setHeader(headers, name, String(value));
  }
  return headers;
}

/** Sets a header, or says what is wrong with its value without repeating it. */
export function setHeader(headers: Headers, name: string, value: string): void {
  try {
    if (!/^[\t\x20-\x7e]*$/.test(value)) throw new TypeError();
    headers.set(name, value);
  } catch {
    throw new SchematicError("shape", `The header ${name} takes visible ASCII on one line; encode the value`);
  }
}

/** Cookies as they are written. What a cookie cannot hold is percent-encoded. */
export function cookiesOf(cookies: RestParams): string[] {
  const given = Object.entries(cookies).filter(([, value]) => value !== undefined);
  return given.map(([name, value]) => `${name}=${String(value).replace(/[^\x21\x23-\x24\x26-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+/gu, encoded)}`);
}
