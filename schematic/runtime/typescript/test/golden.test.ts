//! The generated samples read and write the examples of their definitions, and the lines of written transcripts.

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Messages, SchematicError, type Frame, type Named } from "../src/index.js";

const folder = new URL("../../../gen/tests/golden/", import.meta.url);
const modules = import.meta.glob<Record<string, unknown>>("../../../gen/tests/golden/*/*.ts", { eager: true });

interface Example {
  readonly message: string;
  readonly frame: unknown;
}

/** A line of a transcript, and what generated Rust has written after reading it: canonical JSON, or base64. */
interface Line {
  readonly table: string;
  readonly message: string;
  readonly kind: "text" | "binary";
  readonly frame: string;
  readonly written: string;
}

/** The samples with messages; an API over HTTP alone has none. */
const samples = readdirSync(folder).filter((sample) => existsSync(new URL(`${sample}/examples.json`, folder)));

/** What a generated file exports. */
function exported(sample: string): Record<string, unknown> {
  const [, module = {}] = Object.entries(modules).find(([path]) => path.includes(`/${sample}/`)) ?? [];
  return module;
}

/** The tables of a generated file: one a direction. */
function tables(sample: string): Messages<Named>[] {
  return Object.values(exported(sample)).filter((value) => value instanceof Messages) as Messages<Named>[];
}

/** The table of messages of a type: `clientMessages` of `ClientMessage`. */
function table(sample: string, type: string): Messages<Named> {
  const found = exported(sample)[`${type.charAt(0).toLowerCase()}${type.slice(1)}s`];
  if (!(found instanceof Messages)) throw new Error(`${sample} has no table of ${type}`);
  return found as Messages<Named>;
}

/** JSON with the members of every object in the order of their names. */
function canonical(text: string): string {
  const sorted = (_: string, value: unknown): unknown =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
      : value;
  return JSON.stringify(JSON.parse(text), sorted);
}

/** A frame in the spelling of transcripts. */
function spelled(frame: Frame): string {
  return typeof frame === "string" ? canonical(frame) : Buffer.from(frame).toString("base64");
}

/** The values in a frame without their names, which aliases change, and without null, which absent members may be. */
function values(value: unknown): unknown[] {
  if (value === null) return [];
  if (typeof value !== "object") return [value];
  return Object.values(value).flatMap(values).sort();
}

/** What the tables that know an example have made of it. */
function readAndWritten(sample: string, { message, frame }: Example): { table: Messages<Named>; read: Named; written: Frame }[] {
  const given: Frame[] = typeof frame === "string" ? [Uint8Array.from(Buffer.from(frame, "base64")), JSON.stringify(frame)] : [JSON.stringify(frame)];
  return tables(sample).flatMap((table) =>
    given.flatMap((each) => {
      const read = attempt(() => table.decode(each));
      return read?.name === message ? [{ table, read, written: table.encode(read) }] : [];
    }),
  );
}

/** The message of another endpoint may look like one of this, with a body that does not fit. */
function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (thrown) {
    if (thrown instanceof SchematicError) return undefined;
    throw thrown;
  }
}

describe.each(samples)("%s", (sample) => {
  const examples = JSON.parse(readFileSync(new URL(`${sample}/examples.json`, folder), "utf8")) as Example[];

  it("has tables", () => {
    expect(tables(sample).length).toBeGreaterThan(0);
  });

  it.each(examples.map((example) => [example.message, example] as const))("%s is read and written", (_, example) => {
    const found = readAndWritten(sample, example);
    expect(found.length).toBeGreaterThan(0);
    for (const { table, read, written } of found) {
      expect(table.decode(written)).toEqual(read);
      if (typeof written === "string") expect(values(JSON.parse(written))).toEqual(values(example.frame));
    }
  });
});

const transcripts = samples.filter((sample) => existsSync(new URL(`${sample}/transcript.json`, folder)));

describe.each(transcripts)("the transcript of %s", (sample) => {
  const lines = JSON.parse(readFileSync(new URL(`${sample}/transcript.json`, folder), "utf8")) as Line[];

  it.each(lines.map((line, at) => [at, line.message, line] as const))("%i: %s is written as Rust writes it", (_at, message, line) => {
    const messages = table(sample, line.table);
    const read = messages.decode(line.kind === "text" ? line.frame : Uint8Array.from(Buffer.from(line.frame, "base64")));
    expect(read.name).toBe(message);
    const written = messages.encode(read);
    expect(spelled(written)).toBe(line.written);
    expect(messages.decode(written)).toEqual(read);
  });
});

it("has a transcript of every public API with messages", () => {
  expect(transcripts.length).toBe(6);
});
