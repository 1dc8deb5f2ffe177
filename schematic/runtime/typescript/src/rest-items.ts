//! Values that come one after another: of a streamed body, or of one page after the other.

import { SchematicError } from "./errors.js";
import { lookUp } from "./messages.js";
import type { RestClient, CallOptions } from "./rest-client.js";
import { readJson, type Opened, type Reply } from "./rest-reply.js";
import type { Call } from "./rest-request.js";
import { checked, type Shape } from "./shape.js";

/** The values of server-sent events, as they come, up to the end or to `[DONE]`. */
export async function* events<T>(opened: Opened, shape: Shape<T>): AsyncGenerator<T, void, undefined> {
  let data: string[] = [];
  for await (const line of lines(opened, /\r\n|\n|\r(?!$)/)) {
    const [, value] = /^data(?:: ?(.*))?$/s.exec(line) ?? [];
    if (/^data(:|$)/.test(line)) data.push(value ?? "");
    if (line !== "" || data.length === 0) continue;
    const text = data.join("\n");
    data = [];
    // What many servers say at the end; it is no JSON, so it can be nothing else.
    if (text === "[DONE]") return;
    if (text !== "") yield readJson(opened.about, "a streamed value", text, shape);
  }
}

/** The values of lines, as they come. */
export async function* jsonLines<T>(opened: Opened, shape: Shape<T>): AsyncGenerator<T, void, undefined> {
  let last = "";
  for await (const line of lines(opened, /\n/, (rest) => (last = rest))) {
    if (line.trim() !== "") yield readJson(opened.about, "a streamed value", line, shape);
  }
  // A last line needs no end.
  if (last.trim() !== "") yield readJson(opened.about, "a streamed value", last, shape);
}

/** The lines of a body that have come to their end; what follows the last of them is given to `rest`. */
async function* lines(opened: Opened, end: RegExp, rest?: (text: string) => void): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let held = "";
  for await (const chunk of opened.chunks()) {
    const parts = (held + decoder.decode(chunk, { stream: true })).split(end);
    held = parts.pop() ?? "";
    yield* parts;
    if (held.length > opened.about.bodyBytes) {
      throw new SchematicError("shape", `${opened.about.name}: a line is longer than ${opened.about.bodyBytes} bytes; allow more with bodyBytes`, held);
    }
  }
  held += decoder.decode();
  if (rest) rest(held);
  // It was kept only because a line feed could have followed.
  else if (held.endsWith("\r")) yield held.slice(0, -1);
}

/** How the next page is got. */
export type Turn =
  /** A parameter counts the pages; the first empty one is the last. */
  | { readonly number: string; readonly first: number }
  /** A parameter says how many items to skip; the first empty page is the last. */
  | { readonly offset: string }
  /** The page says what the next one is called; the last page says nothing. */
  | { readonly cursor: string; readonly next: readonly string[] }
  /** A header says where the next page is. */
  | "link";

/** How a list is paged. */
export interface Pages<T> {
  readonly turn: Turn;
  /** Path to the items in a page. */
  readonly items: readonly string[];
  readonly item: Shape<T>;
}

/** The items of all pages, from the one that the call asks for. Pages are got when their items are wanted. */
export async function* pages<T>(client: RestClient, call: Call, { turn, items, item }: Pages<T>, options?: CallOptions): AsyncGenerator<T, void, undefined> {
  let before: string | undefined;
  for (let next: Call | undefined = call; next; ) {
    const reply = await client.send(next, options);
    const page = reply.value();
    const list = items.length === 0 ? page : lookUp(page, items);
    if (!Array.isArray(list)) throw reply.misfit("shape", `the page has no list at ${items.join(".") || "its top"}`);
    const text = reply.text();
    next = following(next, turn, reply, page, list.length);
    if (next && text === before) throw reply.misfit("protocol", "the same page came twice, so that the list would never end");
    before = text;
    for (const each of list) yield checked("an item of the page", text, () => item.decode(each));
  }
}

/** The call for the next page, if there is one. */
function following(call: Call, turn: Turn, reply: Reply, page: unknown, count: number): Call | undefined {
  if (turn === "link") {
    const url = nextLink(reply);
    return url && { ...call, url };
  }
  const [name, value] = nextValue(call, turn, page, count);
  return value === undefined ? undefined : { ...call, query: { ...call.query, [name]: value } };
}

function nextValue(call: Call, turn: Exclude<Turn, "link">, page: unknown, count: number): [string, string | number | undefined] {
  if ("cursor" in turn) {
    const cursor = lookUp(page, turn.next);
    const usable = (typeof cursor === "string" && cursor !== "") || typeof cursor === "number";
    return [turn.cursor, usable ? cursor : undefined];
  }
  const [name, first, step] = "number" in turn ? [turn.number, turn.first, 1] : [turn.offset, 0, count];
  return [name, count === 0 ? undefined : Number(call.query?.[name] ?? first) + step];
}

/** The address of the next page in `Link` headers, as RFC 8288 writes them. */
function nextLink(reply: Reply): URL | undefined {
  for (const link of (reply.headers.get("link") ?? "").split("<").slice(1)) {
    const [target = "", params = ""] = link.split(">");
    const rel = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,]+))/i.exec(params);
    const names = (rel?.[1] ?? rel?.[2] ?? "").toLowerCase().split(/\s+/);
    if (names.includes("next")) return new URL(target, reply.url);
  }
  return undefined;
}
