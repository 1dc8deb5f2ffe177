//! Records as programs want them: plain values, with the types that the wire writes beside them taken off.

/** A record: its key, and any members. */
export interface DataRecord {
  readonly id: string;
  readonly [member: string]: unknown;
}

/** Takes the wire's `{"type", "value"}` off every member. A record whose id is missing or no text is none. */
export function asRecord(wire: unknown): DataRecord | undefined {
  if (!isObject(wire) || typeof wire["id"] !== "string") return undefined;
  const members = Object.entries(wire).map(([name, value]) => [name, plain(value)]);
  return Object.fromEntries(members) as DataRecord;
}

/** All records of an answer: of one object, of a list, of nothing. */
export function asRecords(wire: unknown): DataRecord[] {
  const list = Array.isArray(wire) ? wire : [wire];
  return list.map(asRecord).filter((record) => record !== undefined);
}

function plain(value: unknown): unknown {
  return isTyped(value) ? value.value : value;
}

/** Nothing but the two members: a record of its own may have a `type` and a `value` among others. */
function isTyped(value: unknown): value is { readonly type: string; readonly value: unknown } {
  return isObject(value) && typeof value["type"] === "string" && "value" in value && Object.keys(value).length === 2;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
