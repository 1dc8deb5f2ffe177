//! What came back, how its body is read, and the errors that it may mean.

import { RECEIVED_LIMIT, SchematicError, redact } from "./errors.js";
import { checked, type Shape } from "./shape.js";

/** Reads the body of a declared error. */
export type FaultReader = (reply: Reply) => unknown;

/** The declared errors of an endpoint by status. */
export type Faults = Readonly<Record<number, FaultReader>>;

/** The API's own error, with a status that it declares. */
export class StatusError<Fault extends { readonly status: number; readonly body: unknown }> extends Error {
  override readonly name = "StatusError";

  constructor(
    what: string,
    /** Status and body, as declared; without the client's credential. */
    readonly fault: Fault,
    /** The list in which it is declared. */
    readonly declared: Faults,
  ) {
    super(`${what} was answered with status ${fault.status}`);
  }
}

/** A status that the API does not declare. */
export class UnexpectedStatus extends Error {
  override readonly name = "UnexpectedStatus";

  constructor(
    what: string,
    readonly status: number,
    /** The beginning of the body, without the client's credential. */
    readonly body: string,
  ) {
    super(`${what} was answered with status ${status}, which the API does not declare`);
  }
}

/** What errors about a reply need to know. */
export interface About {
  /** The request, without values. */
  readonly name: string;
  readonly secrets: readonly string[];
  readonly bodyBytes: number;
}

/** A reply with its whole body. */
export class Reply {
  readonly #about: About;
  readonly #body: Uint8Array<ArrayBuffer>;

  constructor(
    readonly status: number,
    readonly headers: Headers,
    readonly url: URL,
    body: Uint8Array<ArrayBuffer>,
    about: About,
  ) {
    this.#body = body;
    this.#about = about;
  }

  /** The body as it is. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#body;
  }

  /** The body as text; an error of kind `shape` if it is not UTF-8. */
  text(): string {
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(this.#body);
    } catch {
      throw new SchematicError("shape", `${this.#about.name}: the body is not UTF-8`, this.#body);
    }
  }

  /** The body as JSON of a shape; an error of kind `shape` carries its beginning. */
  json<T>(shape: Shape<T>): T {
    return readJson(this.#about, `the body with status ${this.status}`, this.text(), shape);
  }

  /** The body as any JSON. */
  value(): unknown {
    return parsed(this.#about, "the body", this.text());
  }

  /** An error about the body. */
  misfit(kind: "shape" | "protocol", what: string): SchematicError {
    return new SchematicError(kind, `${this.#about.name}: ${what}`, redact(this.#lossy(), this.#about.secrets));
  }

  #lossy(): string {
    return new TextDecoder().decode(this.#body);
  }

  /** The error that the reply means. Its body is without secrets, which servers like to repeat in errors. */
  error(faults: Faults): Error {
    const { name, secrets } = this.#about;
    const read = faults[this.status];
    const text = redact(this.#lossy(), secrets);
    if (!read) return new UnexpectedStatus(name, this.status, text.slice(0, RECEIVED_LIMIT));
    const clean = text === this.#lossy() ? this : new Reply(this.status, this.headers, this.url, new TextEncoder().encode(text), this.#about);
    return new StatusError(name, { status: this.status, body: read(clean) }, faults);
  }
}

/** Whether something thrown is an error that these faults declare. */
export function isFault(thrown: unknown, faults: Faults): boolean {
  return thrown instanceof StatusError && thrown.declared === faults;
}

/** A value from text. */
export function readJson<T>(about: About, what: string, text: string, shape: Shape<T>): T {
  const value = parsed(about, what, text);
  return checked(`${about.name}: ${what}`, redact(text, about.secrets), () => shape.decode(value));
}

function parsed(about: About, what: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new SchematicError("shape", `${about.name}: ${what} is not JSON`, redact(text, about.secrets));
  }
}

/** What is told how a body comes along. */
export interface Watcher {
  /** Something has come. */
  touch(): void;
  /** Nothing more will. */
  stop(): void;
  /** What was thrown as it is told to the caller. */
  explain(thrown: unknown, about: About, reached: boolean): unknown;
}

/** A reply whose body has not been read. */
export class Opened {
  constructor(
    readonly response: Response,
    readonly about: About,
    private readonly watch: Watcher,
  ) {}

  /** The status. */
  get status(): number {
    return this.response.status;
  }

  /** The pieces of the body, as they come. Whoever stops early ends the transfer. */
  async *chunks(): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    const reader = this.response.body?.getReader();
    try {
      for (let read = await reader?.read(); read && !read.done; read = await reader?.read()) {
        this.watch.touch();
        yield read.value as Uint8Array<ArrayBuffer>;
      }
    } catch (thrown) {
      throw this.watch.explain(thrown, this.about, true);
    } finally {
      this.watch.stop();
      // A body that has come to its end, or has failed, does not mind.
      reader?.cancel().catch(() => undefined);
    }
  }

  /** Reads the whole body; what is longer than is allowed is an error if `strict`, and else cut off. */
  async whole(strict = true, limit = this.about.bodyBytes): Promise<Reply> {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    let length = 0;
    for await (const chunk of this.chunks()) {
      parts.push(chunk);
      length += chunk.length;
      if (length > limit) break;
    }
    const body = joined(parts, length).subarray(0, limit);
    const reply = new Reply(this.status, this.response.headers, new URL(this.response.url), body, this.about);
    if (length > limit && strict) throw reply.misfit("shape", `the body is longer than ${limit} bytes; allow more with bodyBytes`);
    return reply;
  }
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
