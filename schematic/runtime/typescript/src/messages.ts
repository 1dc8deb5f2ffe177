//! Telling messages apart, and reading and writing them as frames.
//!
//! A message is recognised by tests that the definition declares, tried in its order. What matches none is kept as
//! it came. Nothing is guessed: a recognised message whose body does not fit is an error, not another message.

import { SchematicError } from "./errors.js";
import { checked, equal, type AnyShape } from "./shape.js";
import type { Frame } from "./transport.js";

/** One thing that must hold of a JSON value. */
export type Test =
  /** The member at the path has the value. */
  | { readonly path: readonly string[]; readonly value: unknown }
  /** The member is there and not `null`. */
  | { readonly has: string }
  /** It is a list with this first element. */
  | { readonly head: unknown }
  /** All tests of one of these lists hold. */
  | { readonly anyOf: readonly (readonly Test[])[] }
  /** It is of this kind. */
  | { readonly kind: "object" | "array" | "string" | "number" | "boolean" | "null" };

/** A message that is none of those that are known, as it came. */
export interface Unknown {
  readonly name: "Unknown";
  /** Its tag, if it has one; of other values than strings, the JSON. */
  readonly tag?: string;
  readonly raw: Frame;
}

/** A message: its name in generated code, and its body. */
export interface Named {
  readonly name: string;
  readonly body?: unknown;
  /** The id of its envelope, any JSON. */
  readonly id?: unknown;
}

/** Where the id of an envelope is: a member, or, when that is absent, one of the paths. */
export interface EnvelopeId {
  readonly field: string;
  readonly also: readonly (readonly string[])[];
}

/** Where a body lies under an envelope: beside tag and id, or as the value of a member. */
export type Layout = "flat" | { readonly under: string };

/** All about one message that reading and writing needs. */
export interface MessageSpec {
  readonly name: string;
  readonly body: AnyShape;
  readonly tests: readonly Test[];
  /** Members that recognition adds when the message is written. */
  readonly writes?: Readonly<Record<string, unknown>>;
  /** First element that recognition adds. */
  readonly head?: unknown;
  /** The kind of frame; without it, text. */
  readonly frame?: "binary" | "either";
  /** Whether the frame's content is the body. */
  readonly raw?: boolean;
  readonly layouts?: readonly Layout[];
}

/** Reads and writes everything that one side says. */
export class Messages<M extends Named> {
  readonly #specs: readonly MessageSpec[];
  readonly #tag: readonly string[] | undefined;
  readonly #id: EnvelopeId | undefined;

  /** `tag` is the path at which unknown messages have theirs, `id` where the id of the envelope is. */
  constructor(specs: readonly MessageSpec[], tag?: readonly string[], id?: EnvelopeId) {
    this.#specs = specs;
    this.#tag = tag;
    this.#id = id;
  }

  /** Reads a frame; an error of kind `shape` if it is not JSON or the body of a known message does not fit. */
  decode(frame: Frame): M | Unknown {
    const kind = typeof frame === "string" ? undefined : "binary";
    const specs = this.#specs.filter((spec) => spec.frame === kind || spec.frame === "either");
    const raw = specs.find((spec) => spec.raw && spec.tests.length === 0);
    const value = raw && specs.length === 1 ? undefined : parse(frame);
    if (value) {
      const spec = specs.find((candidate) => candidate !== raw && candidate.tests.every((test) => holds(test, value.json)));
      if (spec) return { name: spec.name, body: checked(spec.name, frame, () => readBody(spec, value.json)), ...this.#readId(value.json) } as unknown as M;
    }
    if (raw) return { name: raw.name, body: frame } as unknown as M;
    if (!value && typeof frame === "string") throw new SchematicError("shape", "The server sent a frame that is not JSON", frame);
    return this.#unknown(frame, value?.json);
  }

  #readId(json: unknown): { id?: unknown } {
    if (!this.#id) return {};
    const { field, also } = this.#id;
    const id = [[field], ...also].map((path) => lookUp(json, path)).find((found) => found !== undefined);
    return id === undefined ? {} : { id };
  }

  #unknown(raw: Frame, json: unknown): Unknown {
    const tag = this.#tag && lookUp(json, this.#tag);
    if (tag === undefined) return { name: "Unknown", raw };
    return { name: "Unknown", tag: typeof tag === "string" ? tag : JSON.stringify(tag), raw };
  }

  /** Writes a message; an error of kind `shape` if its body does not fit. */
  encode(message: M | Unknown): Frame {
    if (isUnknown(message)) return message.raw;
    const spec = this.#specs.find((candidate) => candidate.name === message.name);
    if (!spec) throw new SchematicError("shape", `There is no message ${message.name} to send`);
    if (spec.raw) return message.body as Frame;
    const json = checked(spec.name, undefined, () => writeBody(spec, message.body));
    const { id } = message as Named;
    const text = JSON.stringify(this.#id && id !== undefined ? { [this.#id.field]: id, ...(json as object) } : json);
    return spec.frame === "binary" ? new TextEncoder().encode(text) : text;
  }
}

function isUnknown(message: Named | Unknown): message is Unknown {
  return message.name === "Unknown";
}

function parse(frame: Frame): { json: unknown } | undefined {
  try {
    const text = typeof frame === "string" ? frame : new TextDecoder("utf-8", { fatal: true }).decode(frame);
    return { json: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}

/** The value at a path of member names; `undefined` where it does not lead anywhere. */
export function lookUp(value: unknown, path: readonly string[]): unknown {
  let here = value;
  for (const name of path) {
    if (typeof here !== "object" || here === null || !Object.hasOwn(here, name)) return undefined;
    here = (here as Record<string, unknown>)[name];
  }
  return here;
}

function holds(test: Test, json: unknown): boolean {
  if ("path" in test) return !Array.isArray(json) && equal(lookUp(json, test.path), test.value);
  if ("has" in test) return !Array.isArray(json) && (lookUp(json, [test.has]) ?? null) !== null;
  if ("head" in test) return Array.isArray(json) && equal(json[0], test.head);
  if ("anyOf" in test) return test.anyOf.some((tests) => tests.every((each) => holds(each, json)));
  return kindOf(json) === test.kind;
}

function kindOf(json: unknown): string {
  if (json === null) return "null";
  return Array.isArray(json) ? "array" : typeof json;
}

function readBody(spec: MessageSpec, json: unknown): unknown {
  if (spec.head !== undefined) return spec.body.decode((json as unknown[]).slice(1));
  return spec.body.decode(bodyOf(json, spec.layouts));
}

function bodyOf(json: unknown, layouts: readonly Layout[] = ["flat"]): unknown {
  for (const layout of layouts) {
    if (layout === "flat") continue;
    const body = lookUp(json, [layout.under]);
    if (body !== undefined) return body;
  }
  return layouts.includes("flat") ? json : {};
}

function writeBody(spec: MessageSpec, body: unknown): unknown {
  const written = spec.body.encode(body as never);
  if (spec.head !== undefined) return [spec.head, ...(written as unknown[])];
  const [layout = "flat"] = spec.layouts ?? [];
  if (layout !== "flat") return { ...spec.writes, [layout.under]: written };
  return spec.writes ? { ...spec.writes, ...(written as object) } : written;
}

/** An alternative of a union. */
export interface VariantSpec {
  readonly name: string;
  readonly shape: AnyShape;
  readonly tests: readonly Test[];
  readonly writes?: Readonly<Record<string, unknown>>;
  readonly head?: unknown;
}

/** One of several types, as `{ name, body }`; what is none of them is kept with the name `Unknown`. */
export function union<T extends Named>(...variants: readonly VariantSpec[]): { decode(value: unknown): T; encode(value: T): unknown } {
  const specs = variants.map((variant): MessageSpec => ({ ...variant, body: variant.shape }));
  return {
    decode(value) {
      const spec = specs.find((candidate) => candidate.tests.every((test) => holds(test, value)));
      const found = spec ? { name: spec.name, body: readBody(spec, value) } : { name: "Unknown", body: value };
      return found as unknown as T;
    },
    encode(value) {
      const spec = specs.find((candidate) => candidate.name === value.name);
      return spec ? writeBody(spec, value.body) : value.body;
    },
  };
}
