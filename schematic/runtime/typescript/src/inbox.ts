//! An async iterator over incoming messages, with a bound and a declared way to meet it.
//!
//! Each iterator has an inbox of its own. Listeners of the `message` event need none: they are called at once.

import { SchematicError } from "./errors.js";
import type { InboundFull } from "./policy.js";

/** How an inbox is bounded. */
export interface InboxOptions<In> {
  /** Most messages that wait. */
  readonly limit: number;
  /** What happens when there are more. */
  readonly full: InboundFull;
  /** For `coalesce`: of messages with the same key only the newest is kept; `undefined` never coalesces. */
  readonly key?: ((message: In) => unknown) | undefined;
  /** Stops and starts the reading from the socket, for `block`; gives false if it cannot. */
  readonly hold: (on: boolean) => boolean;
  /** More came than it may hold; it has ended with this error. */
  readonly overflow?: (error: SchematicError) => void;
  /** The inbox will not be read any more. */
  readonly left: (inbox: Inbox<In>) => void;
}

interface Reader<In> {
  resolve(result: IteratorResult<In>): void;
  reject(error: SchematicError): void;
}

/** Messages that wait for a `for await` loop. */
export class Inbox<In> implements AsyncIterableIterator<In> {
  readonly #options: InboxOptions<In>;
  #messages: In[] = [];
  #readers: Reader<In>[] = [];
  #ended = false;
  #error: SchematicError | undefined;
  #held = false;
  /** How many messages were dropped or replaced because the loop did not keep up. */
  dropped = 0;

  constructor(options: InboxOptions<In>) {
    this.#options = options;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Takes a message in. */
  push(message: In): void {
    if (this.#ended) return;
    const reader = this.#readers.shift();
    if (reader) reader.resolve({ done: false, value: message });
    else if (!this.#replace(message)) this.#append(message);
  }

  #replace(message: In): boolean {
    const { full, key } = this.#options;
    if (full !== "coalesce" || !key) return false;
    const wanted = key(message);
    const at = wanted === undefined ? -1 : this.#messages.findIndex((waiting) => key(waiting) === wanted);
    if (at < 0) return false;
    this.#messages.splice(at, 1);
    this.#messages.push(message);
    this.dropped += 1;
    return true;
  }

  #append(message: In): void {
    this.#messages.push(message);
    const over = this.#messages.length - this.#options.limit;
    if (this.#options.full === "block") {
      if (over < 0) return;
      this.#held ||= this.#options.hold(true);
      // What was already read when the socket was held back still comes in; a socket that cannot wait may not go on.
      if (over > 0 && !this.#held) this.#fail();
    } else if (over > 0) {
      this.#overflow(this.#options.full);
    }
  }

  #overflow(full: "drop_oldest" | "coalesce" | "fail"): void {
    if (full === "fail") return this.#fail();
    this.#messages.shift();
    this.dropped += 1;
  }

  #fail(): void {
    this.#messages.pop();
    const limit = this.#options.limit;
    const error = new SchematicError("full", `Read faster or raise the inbound limit: more than ${limit} messages wait`);
    this.end(error);
    this.#options.left(this);
    this.#options.overflow?.(error);
  }

  /** Nothing more will come; with an error, the loop gets it after what waits. */
  end(error?: SchematicError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    for (const reader of this.#readers.splice(0)) settle(reader, this.#takeError());
  }

  #takeError(): SchematicError | undefined {
    const error = this.#error;
    this.#error = undefined;
    return error;
  }

  next(): Promise<IteratorResult<In>> {
    if (this.#messages.length > 0) return Promise.resolve({ done: false, value: this.#shift() });
    return new Promise((resolve, reject) => {
      const reader = { resolve, reject };
      if (this.#ended) settle(reader, this.#takeError());
      else this.#readers.push(reader);
    });
  }

  #shift(): In {
    const message = this.#messages.shift() as In;
    if (this.#held && this.#messages.length <= this.#options.limit / 2) {
      this.#held = false;
      this.#options.hold(false);
    }
    return message;
  }

  return(): Promise<IteratorResult<In>> {
    this.#messages = [];
    this.end();
    if (this.#held) this.#options.hold(false);
    this.#held = false;
    this.#options.left(this);
    return Promise.resolve({ done: true, value: undefined });
  }
}

function settle<In>(reader: Reader<In>, error: SchematicError | undefined): void {
  if (error) reader.reject(error);
  else reader.resolve({ done: true, value: undefined });
}
