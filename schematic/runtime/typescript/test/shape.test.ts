//! What fits, what does not, and how the error says where.

import { describe, expect, it } from "vitest";
import { SchematicError, shape, type Shape } from "../src/index.js";
import { checked } from "../src/shape.js";

const read = <T>(of: Shape<T>, value: unknown): T => checked("Thing", JSON.stringify(value), () => of.decode(value));
const write = <T>(of: Shape<T>, value: T): unknown => checked("Thing", undefined, () => of.encode(value));
const complaint = (action: () => unknown): string => {
  try {
    action();
  } catch (thrown) {
    if (thrown instanceof SchematicError) return thrown.message;
  }
  throw new Error("it fits");
};

interface Leaf {
  name: string;
  size?: number;
  next: Leaf | null;
}
const leaf: Shape<Leaf> = shape.record({
  name: shape.alias(shape.string, "title"),
  size: shape.optional(shape.unsigned),
  next: shape.nullable(shape.ref(() => leaf)),
});

describe("scalars", () => {
  it.each([
    [shape.string, "x", 1],
    [shape.boolean, true, "true"],
    [shape.integer, -3, 1.5],
    [shape.integer, 2 ** 53 - 1, 2 ** 53],
    [shape.unsigned, 0, -1],
    [shape.float, 1.5, "1.5"],
    [shape.float, 0, Number.NaN],
    [shape.json, null, undefined],
    [shape.timestamp, "2026-01-02T03:04:05Z", 5],
    [shape.closedEnum("a", "b"), "b", "c"],
  ] as unknown as [Shape<unknown>, unknown, unknown][])("%# fits or does not, both ways", (of, good, bad) => {
    expect(read(of, good)).toEqual(good);
    expect(write(of, good)).toEqual(good);
    expect(() => read(of, bad)).toThrow(SchematicError);
    expect(() => write(of, bad)).toThrow(SchematicError);
  });

  it("keep values of an open enum that are new", () => {
    expect(read(shape.openEnum(), "newer")).toBe("newer");
    expect(() => read(shape.openEnum(), 3)).toThrow("text is expected");
  });

  it("carry bytes as base64", () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, n) => n);
    expect(read(shape.bytes, write(shape.bytes, bytes))).toEqual(bytes);
    expect(write(shape.bytes, new Uint8Array([255, 254]))).toBe("//4=");
    expect(complaint(() => read(shape.bytes, "?"))).toBe("Thing: base64 text is expected, not a string");
  });
});

describe("records", () => {
  it("ignore what they do not know and read aliases", () => {
    expect(read(leaf, { title: "a", extra: 1, next: null })).toEqual({ name: "a", next: null });
  });

  it("prefer the name to its aliases and never write those", () => {
    expect(read(leaf, { title: "a", name: "b", next: null })).toEqual({ name: "b", next: null });
    expect(write(leaf, { name: "b", next: null })).toEqual({ name: "b", next: null });
  });

  it("take null for absent where a member is optional", () => {
    expect(read(leaf, { name: "a", size: null, next: null })).toEqual({ name: "a", next: null });
  });

  it("say where something does not fit", () => {
    const bad = { name: "a", next: { name: "b", next: { name: "c", size: -1, next: null } } };
    expect(complaint(() => read(leaf, bad))).toBe("Thing.next.next.size: a whole number from 0 is expected, not -1");
    expect(complaint(() => read(leaf, { name: "a" }))).toBe("Thing.next: an object is expected, not nothing");
    expect(complaint(() => write(leaf, { name: 1, next: null } as never))).toBe("Thing.name: text is expected, not a number".replace("a number", "1"));
    expect(complaint(() => read(leaf, []))).toBe("Thing: an object is expected, not a list");
  });

  it("write and verify constants", () => {
    const fixed: Shape<{ text: string }> = shape.record({ v: shape.constant(2, shape.integer), text: shape.string });
    expect(write(fixed, { text: "x" })).toEqual({ v: 2, text: "x" });
    expect(read(fixed, { v: 2, text: "x" })).toEqual({ text: "x" });
    expect(complaint(() => read(fixed, { v: 3, text: "x" }))).toBe("Thing.v: 2 is expected, not 3");
  });

  it("do not take inherited members for their own", () => {
    const odd: Shape<Record<string, unknown>> = shape.record({ constructor: shape.optional(shape.json), ["__proto__"]: shape.optional(shape.json) });
    expect(Object.keys(read(odd, {}))).toEqual([]);
    const hostile = read(odd, JSON.parse('{"__proto__":{"admin":true}}'));
    expect((hostile as { admin?: unknown }).admin).toBeUndefined();
    expect(Object.keys(hostile)).toEqual(["__proto__"]);
  });
});

describe("collections", () => {
  it("check each of their items", () => {
    expect(complaint(() => read(shape.array(shape.integer), [1, "2"]))).toBe("Thing.1: a whole number is expected, not a string");
    expect(complaint(() => read(shape.map(shape.integer), { a: 1, b: {} }))).toBe("Thing.b: a whole number is expected, not an object");
    expect(complaint(() => read(shape.array(shape.integer), {}))).toBe("Thing: a list is expected, not an object");
  });

  it("may have meanings by place", () => {
    const place: Shape<[string, number?, ...boolean[]]> = shape.tuple([["id", shape.string], ["size", shape.integer, true]], shape.boolean);
    expect(read(place, ["a"])).toEqual(["a"]);
    expect(read(place, ["a", 1, true, false])).toEqual(["a", 1, true, false]);
    expect(complaint(() => read(place, ["a", 1, 2]))).toBe("Thing.2: true or false is expected, not 2");
    expect(complaint(() => read(place, []))).toBe("Thing: a list of 1 or more is expected, not a list");
    const closed: Shape<[string]> = shape.tuple([["id", shape.string]]);
    expect(read(closed, ["a", "added later"])).toEqual(["a"]);
  });
});
