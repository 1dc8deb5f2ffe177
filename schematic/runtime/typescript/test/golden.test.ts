//! The generated samples read and write the examples of their definitions.

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Messages, SchematicError, type Frame, type Named } from "../src/index.js";

const folder = new URL("../../../gen/tests/golden/", import.meta.url);
const modules = import.meta.glob<Record<string, unknown>>("../../../gen/tests/golden/*/*.ts", { eager: true });

interface Example {
  readonly message: string;
  readonly frame: unknown;
}

/** The samples with messages; an API over HTTP alone has none. */
const samples = readdirSync(folder).filter((sample) => existsSync(new URL(`${sample}/examples.json`, folder)));

/** The tables of a generated file: one a direction. */
function tables(sample: string): Messages<Named>[] {
  const [, module = {}] = Object.entries(modules).find(([path]) => path.includes(`/${sample}/`)) ?? [];
  return Object.values(module).filter((value) => value instanceof Messages) as Messages<Named>[];
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
