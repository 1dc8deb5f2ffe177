//! The one error of the runtime, and how secrets are kept out of it.
//!
//! The kind says what a program does about it, the sentence what a person does. What a peer sent is quoted up to
//! a bound. Which error arises where is the business of the other files.

/** What went wrong, as a closed list. */
export type ErrorKind =
  /** The connection could not be opened. */
  | "connect"
  /** Something took longer than it may. */
  | "timeout"
  /** The server does not speak what it should. */
  | "protocol"
  /** The credentials were refused or could not be obtained. */
  | "auth"
  /** A credential would have travelled unencrypted. */
  | "insecure"
  /** A frame or value does not have the shape that it should. */
  | "shape"
  /** A queue has no place left. */
  | "full"
  /** The message may not be sent at this point of the connection's life. */
  | "lifecycle"
  /** The connection was lost before the answer came. */
  | "disconnected"
  /** The connection was closed by its owner. */
  | "closed";

/** How many characters of what a peer sent are kept in an error. */
export const RECEIVED_LIMIT = 1024;

/** An error of the runtime. */
export class SchematicError extends Error {
  override readonly name = "SchematicError";
  /** What a program does about it. */
  readonly kind: ErrorKind;
  /** What the other side sent, cut to {@link RECEIVED_LIMIT} characters. */
  readonly received: string | undefined;

  constructor(kind: ErrorKind, message: string, received?: string | Uint8Array) {
    super(message);
    this.kind = kind;
    this.received = received === undefined ? undefined : excerpt(received);
  }
}

function excerpt(received: string | Uint8Array): string {
  if (typeof received === "string") return received.slice(0, RECEIVED_LIMIT);
  const bytes = received.subarray(0, RECEIVED_LIMIT / 2);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const SECRET_NAME = /key|token|ticket|secret|auth|passw|signature|credential/i;

/** The values in a URL that are secret: what stands before the host, and query members with a telling name. */
export function secretsOf(url: URL): string[] {
  const members = [...url.searchParams].filter(([name]) => SECRET_NAME.test(name)).map(([, value]) => value);
  return [url.username, url.password, ...members].filter((value) => value !== "");
}

/** The text with every secret, as it is and percent-encoded, replaced by `***`. */
export function redact(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) {
    if (secret === "") continue;
    clean = clean.replaceAll(secret, "***").replaceAll(encodeURIComponent(secret), "***");
  }
  return clean;
}

/** Whatever was thrown as an error of the runtime, without the secrets. */
export function asError(thrown: unknown, kind: ErrorKind, secrets: readonly string[]): SchematicError {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const known = thrown instanceof SchematicError ? thrown : undefined;
  return new SchematicError(known?.kind ?? kind, redact(text, secrets), known?.received && redact(known.received, secrets));
}
