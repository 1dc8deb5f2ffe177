//! Checked shapes: JSON values in, typed values out, and back.
//!
//! Generated files put these together; nothing here knows a particular API. A value that does not fit is an error
//! with the place and what was expected there, never a guess.

import { SchematicError } from "./errors.js";

/** Reads and writes one type of value. Both check. */
export interface Shape<T> {
  /** From a JSON value. */
  decode(value: unknown): T;
  /** To a JSON value. */
  encode(value: T): unknown;
}

/** A shape whose type is not known to the compiler at its place. */
export interface AnyShape {
  decode(value: unknown): unknown;
  encode(value: never): unknown;
}

/** What does not fit, and where; the place grows from the inside out. */
class Misfit extends Error {
  readonly path: (string | number)[] = [];

  constructor(
    readonly expected: string,
    readonly found: unknown,
  ) {
    super();
  }
}

function misfit(expected: string, found: unknown): never {
  throw new Misfit(expected, found);
}

/** Runs `action`, adding `place` to whatever does not fit in it. */
function at<T>(place: string | number, action: () => T): T {
  try {
    return action();
  } catch (thrown) {
    if (thrown instanceof Misfit) thrown.path.unshift(place);
    throw thrown;
  }
}

/** Runs `action` on a message; what does not fit becomes an error of kind `shape` that names message and place. */
export function checked<T>(message: string, received: string | Uint8Array | undefined, action: () => T): T {
  try {
    return action();
  } catch (thrown) {
    if (!(thrown instanceof Misfit)) throw thrown;
    const place = [message, ...thrown.path].join(".");
    throw new SchematicError("shape", `${place}: ${thrown.expected} is expected, not ${describe(thrown.found)}`, received);
  }
}

function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "number") return Number.isSafeInteger(value) || !Number.isInteger(value) ? String(value) : "a number that is too large to be exact";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

function scalar<T>(expected: string, fits: (value: unknown) => boolean): Shape<T> {
  const check = (value: unknown): never => (fits(value) ? (value as never) : misfit(expected, value));
  return { decode: check, encode: check };
}

/** Text. */
export const string = scalar<string>("text", (value) => typeof value === "string");
/** A moment as RFC 3339 text. */
export const timestamp = scalar<string>("an RFC 3339 time", (value) => typeof value === "string");
/** `true` or `false`. */
export const boolean = scalar<boolean>("true or false", (value) => typeof value === "boolean");
/** A whole number, as far as JavaScript holds it exactly. */
export const integer = scalar<number>("a whole number", Number.isSafeInteger);
/** A whole number that is not negative, as far as JavaScript holds it exactly. */
export const unsigned = scalar<number>("a whole number from 0", (value) => Number.isSafeInteger(value) && (value as number) >= 0);
/** A number. */
export const float = scalar<number>("a number", Number.isFinite);
/** Any JSON value. */
export const json = scalar<unknown>("a value", (value) => value !== undefined);

/** Bytes as base64 text. */
export const bytes: Shape<Uint8Array> = {
  decode(value) {
    if (typeof value !== "string") misfit("base64 text", value);
    try {
      return Uint8Array.from(atob(value), (character) => character.charCodeAt(0));
    } catch {
      return misfit("base64 text", value);
    }
  },
  encode(value) {
    if (!(value instanceof Uint8Array)) misfit("bytes", value);
    let text = "";
    for (const byte of value) text += String.fromCharCode(byte);
    return btoa(text);
  },
};

/** A string of a list, of which newer ones may turn up. */
export const openEnum = <T extends string>(): Shape<T> => string as unknown as Shape<T>;

/** A string of a list that is complete. */
export function closedEnum<T extends string>(...values: readonly T[]): Shape<T> {
  return scalar<T>(`one of ${values.join(", ")}`, (value) => values.includes(value as T));
}

/** A shape that is declared further down. */
export function ref<T>(shape: () => Shape<T>): Shape<T> {
  return { decode: (value) => shape().decode(value), encode: (value) => shape().encode(value) };
}

/** A list. */
export function array<T>(item: Shape<T>): Shape<T[]> {
  const each = <A, B>(value: readonly A[], move: (item: A) => B): B[] => {
    if (!Array.isArray(value)) misfit("a list", value);
    return value.map((member, index) => at(index, () => move(member)));
  };
  return { decode: (value) => each(value as unknown[], (member) => item.decode(member)), encode: (value) => each(value, (member) => item.encode(member)) };
}

/** An object with arbitrary keys. */
export function map<T>(item: Shape<T>): Shape<Record<string, T>> {
  const each = <A, B>(value: unknown, move: (item: A) => B): Record<string, B> =>
    Object.fromEntries(Object.entries(object(value)).map(([key, member]) => [key, at(key, () => move(member as A))]));
  return { decode: (value) => each(value, (member) => item.decode(member)), encode: (value) => each(value, (member: T) => item.encode(member)) };
}

function object(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) misfit("an object", value);
  return value as Record<string, unknown>;
}

/** What holds of a member of a record beside its shape. */
export interface Member {
  readonly shape: AnyShape;
  readonly optional?: boolean;
  readonly nullable?: boolean;
  /** Other names under which it is read. */
  readonly aliases?: readonly string[];
  /** The only value it has; it is no member of the typed value. */
  readonly constant?: unknown;
}

/** May be absent; `null` then means the same. */
export const optional = (member: AnyShape | Member): Member => ({ ...asMember(member), optional: true });
/** May be `null`. */
export const nullable = (member: AnyShape | Member): Member => ({ ...asMember(member), nullable: true });
/** Is also read under other names. */
export const alias = (member: AnyShape | Member, ...aliases: readonly string[]): Member => ({ ...asMember(member), aliases });
/** Always has this value: written by itself, verified when read. */
export const constant = (value: unknown, member: AnyShape | Member): Member => ({ ...asMember(member), constant: value });

function asMember(member: AnyShape | Member): Member {
  return "decode" in member ? { shape: member } : member;
}

/** An object with known members; others are ignored. */
export function record<T>(members: Readonly<Record<string, AnyShape | Member>>): Shape<T> {
  const list = Object.entries(members).map(([name, member]) => [name, asMember(member)] as const);
  return {
    decode(value) {
      const from = object(value);
      const entries = list.map(([name, member]) => [name, at(name, () => readMember(from, name, member))] as const);
      return Object.fromEntries(entries.filter(([, read]) => read !== undefined)) as T;
    },
    encode(value) {
      const from = object(value);
      const entries = list.map(([name, member]) => [name, at(name, () => writeMember(from, name, member))] as const);
      return Object.fromEntries(entries.filter(([, written]) => written !== undefined));
    },
  };
}

function readMember(from: Record<string, unknown>, name: string, member: Member): unknown {
  const key = [name, ...(member.aliases ?? [])].find((candidate) => Object.hasOwn(from, candidate));
  const value = key === undefined ? undefined : from[key];
  if (member.optional && (value ?? undefined) === undefined) return undefined;
  if (member.constant !== undefined) {
    return equal(value, member.constant) ? undefined : misfit(JSON.stringify(member.constant), value);
  }
  return member.nullable && value === null ? null : member.shape.decode(value);
}

function writeMember(from: Record<string, unknown>, name: string, member: Member): unknown {
  if (member.constant !== undefined) return member.constant;
  const value = Object.hasOwn(from, name) ? from[name] : undefined;
  if (member.optional && (value ?? undefined) === undefined) return undefined;
  return member.nullable && value === null ? null : member.shape.encode(value as never);
}

/** A place of a tuple. */
export type Place = readonly [name: string, shape: AnyShape, optional?: boolean];

/** A list whose places have meanings of their own; `rest` is what may follow. */
export function tuple<T extends readonly unknown[]>(places: readonly Place[], rest?: AnyShape): Shape<T> {
  const each = (value: readonly unknown[], move: (shape: AnyShape, item: unknown) => unknown): unknown[] => {
    if (!Array.isArray(value)) misfit("a list", value);
    const required = places.filter(([, , maybe]) => !maybe).length;
    if (value.length < required) misfit(`a list of ${required} or more`, value);
    // Without a rest, places that were added later are ignored, as unknown members are.
    const known = rest ? value : value.slice(0, places.length);
    return known.map((item, index) => {
      const [name, shape] = places[index] ?? [index, rest as AnyShape];
      return at(name, () => move(shape, item));
    });
  };
  return {
    decode: (value) => each(value as unknown[], (shape, item) => shape.decode(item)) as unknown as T,
    encode: (value) => each(value, (shape, item) => shape.encode(item as never)),
  };
}

/** Whether two JSON values are the same. */
export function equal(a: unknown, b: unknown): boolean {
  return a === b || (typeof a === "object" && typeof b === "object" && JSON.stringify(a) === JSON.stringify(b));
}
