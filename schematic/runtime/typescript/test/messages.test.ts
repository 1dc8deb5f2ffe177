//! Every way to tell messages apart, with the wrong neighbour offered.

import { describe, expect, it } from "vitest";
import { Messages, shape, union, type MessageSpec, type Named, type Test } from "../src/index.js";

const any = { decode: (value: unknown) => value, encode: (value: unknown) => value };
const spec = (name: string, tests: readonly Test[], more: Partial<MessageSpec> = {}): MessageSpec => ({ name, body: any, tests, ...more });
const messages = (specs: readonly MessageSpec[], tag?: readonly string[]): Messages<Named> => new Messages<Named>(specs, tag);
const named = (of: Messages<Named>, value: unknown): string => of.decode(JSON.stringify(value)).name;

describe("recognition", () => {
  it("by tag", () => {
    const of = messages([spec("A", [{ path: ["type"], value: "a" }]), spec("B", [{ path: ["type"], value: 2 }])], ["type"]);
    expect(["a", 2, "2", "b", null].map((type) => named(of, { type }))).toEqual(["A", "B", "Unknown", "Unknown", "Unknown"]);
    expect(of.decode('{"type":"new","x":1}')).toEqual({ name: "Unknown", tag: "new", raw: '{"type":"new","x":1}' });
    expect(of.decode('{"type":7}')).toEqual({ name: "Unknown", tag: "7", raw: '{"type":7}' });
  });

  it("by a tag inside, and by several together", () => {
    const of = messages([
      spec("A", [{ path: ["d", "kind"], value: "x" }]),
      spec("B", [{ path: ["op"], value: 0 }, { path: ["t"], value: "READY" }]),
    ]);
    expect(named(of, { d: { kind: "x" } })).toBe("A");
    expect(named(of, { d: { kind: "y" } })).toBe("Unknown");
    expect(named(of, { op: 0, t: "READY" })).toBe("B");
    expect(named(of, { op: 0, t: "RESUMED" })).toBe("Unknown");
    expect(named(of, { op: 1, t: "READY" })).toBe("Unknown");
  });

  it("by a value that others have differently, in the order that is declared", () => {
    const of = messages([spec("End", [{ path: ["text"], value: "" }]), spec("Begin", [{ path: ["text"], value: " " }]), spec("Text", [{ has: "text" }])]);
    expect(["", " ", "hello"].map((text) => named(of, { text }))).toEqual(["End", "Begin", "Text"]);
  });

  it("by presence, which null is not", () => {
    const of = messages([spec("A", [{ has: "a" }])]);
    expect([{ a: false }, { a: null }, { b: 1 }, { a: [] }].map((value) => named(of, value))).toEqual(["A", "Unknown", "Unknown", "A"]);
    expect(named(of, ["a"])).toBe("Unknown");
    expect(named(messages([spec("T", [{ has: "toString" }])]), {})).toBe("Unknown");
  });

  it("by the head of a list, which is not part of the body", () => {
    const event = spec("Event", [{ head: "EVENT" }], { head: "EVENT", body: shape.tuple([["id", shape.string]]) });
    const of = messages([event]);
    expect(of.decode('["EVENT","s"]')).toEqual({ name: "Event", body: ["s"] });
    expect(named(of, ["EOSE", "s"])).toBe("Unknown");
    expect(of.encode({ name: "Event", body: ["s"] })).toBe('["EVENT","s"]');
  });

  it("by the kind of value", () => {
    const of = messages([spec("List", [{ kind: "array" }]), spec("One", [{ kind: "object" }]), spec("None", [{ kind: "null" }])]);
    expect([[1], {}, null, "x"].map((value) => named(of, value))).toEqual(["List", "One", "None", "Unknown"]);
  });

  it("by any of several ways", () => {
    const of = messages([spec("A", [{ anyOf: [[{ has: "a" }], [{ has: "b" }, { has: "c" }]] }])]);
    expect([{ a: 1 }, { b: 1 }, { b: 1, c: 1 }].map((value) => named(of, value))).toEqual(["A", "Unknown", "A"]);
  });

  it("by the kind of frame", () => {
    const audio = spec("Audio", [], { frame: "binary", raw: true });
    const of = messages([audio, spec("Text", [{ has: "text" }])]);
    const bytes = new Uint8Array([123, 125]);
    expect(of.decode(bytes)).toEqual({ name: "Audio", body: bytes });
    expect(of.encode({ name: "Audio", body: bytes })).toBe(bytes);
    expect(named(of, { text: 1 })).toBe("Text");
  });

  it("by content in binary frames, beside raw ones", () => {
    const of = messages([spec("Setup", [{ has: "setup" }], { frame: "binary" }), spec("Audio", [], { frame: "binary", raw: true })]);
    const frame = new TextEncoder().encode('{"setup":1}');
    expect(of.decode(frame).name).toBe("Setup");
    expect(of.decode(new Uint8Array([255])).name).toBe("Audio");
    expect(of.encode({ name: "Setup", body: { setup: 1 } })).toEqual(frame);
  });
});

describe("what does not fit", () => {
  const of = new Messages<Named>([{ name: "A", body: shape.record({ n: shape.integer }), tests: [{ has: "n" }], writes: { type: "a" } }]);

  it("is an error with message, place and what came", () => {
    expect(() => of.decode('{"n":"x"}')).toThrow(expect.objectContaining({ kind: "shape", message: "A.n: a whole number is expected, not a string", received: '{"n":"x"}' }));
  });

  it("is an error when it is not JSON", () => {
    expect(() => of.decode("{")).toThrow("not JSON");
  });

  it("is not sent", () => {
    expect(() => of.encode({ name: "A", body: { n: "x" } })).toThrow("A.n");
    expect(() => of.encode({ name: "B" })).toThrow("no message B");
  });

  it("is kept if it is a stray binary frame", () => {
    const raw = new Uint8Array([1]);
    expect(of.decode(raw)).toEqual({ name: "Unknown", raw });
    expect(of.encode({ name: "Unknown", raw })).toBe(raw);
  });

  it("says again what recognition knows", () => {
    expect(of.encode({ name: "A", body: { n: 1 } })).toBe('{"type":"a","n":1}');
  });
});

describe("envelopes", () => {
  const insert: MessageSpec = {
    name: "Insert",
    body: shape.record({ key: shape.string }),
    tests: [{ path: ["type"], value: "insert" }],
    writes: { type: "insert" },
    layouts: [{ under: "payload" }, "flat"],
  };
  const of = new Messages<Named>([insert], ["type"], { field: "messageId", also: [["payload", "messageId"]] });

  it("hold the body in several places, and an id of any kind", () => {
    const read = ['{"type":"insert","messageId":7,"payload":{"key":"a"}}', '{"type":"insert","key":"a"}', '{"type":"insert","payload":{"key":"a","messageId":"m"}}'];
    expect(read.map((frame) => of.decode(frame))).toEqual([
      { name: "Insert", body: { key: "a" }, id: 7 },
      { name: "Insert", body: { key: "a" } },
      { name: "Insert", body: { key: "a" }, id: "m" },
    ]);
  });

  it("are written with the first layout", () => {
    expect(of.encode({ name: "Insert", body: { key: "a" }, id: 7 })).toBe('{"messageId":7,"type":"insert","payload":{"key":"a"}}');
  });
});

describe("unions", () => {
  const filter = union<Named>(
    { name: "Not", shape: shape.record({ not: shape.string }), tests: [{ has: "not" }] },
    { name: "Text", shape: shape.string, tests: [{ kind: "string" }] },
  );

  it("name what they hold, and keep what is new", () => {
    const values = [{ not: "a" }, "b", { newer: 1 }];
    const read = values.map((value) => filter.decode(value));
    expect(read.map((value) => value.name)).toEqual(["Not", "Text", "Unknown"]);
    expect(read.map((value) => filter.encode(value))).toEqual(values);
  });
});
