//! Which reply belongs to which request.
//!
//! A request is found by its id, or, in protocols without ids, by its turn: the oldest request that accepts the
//! message gets it. Sending the request is the business of the connection.

import { type Clock, type Timer } from "./clock.js";
import { SchematicError } from "./errors.js";

/** How the replies to a request are recognised. */
export interface Expectation<In> {
  /** The request's id, as it stands in its replies. */
  readonly id?: unknown;
  /** Whether a message can answer at all. */
  readonly accepts?: ((message: In) => boolean) | undefined;
  /** Whether a message is the last reply; without it, the first is. */
  readonly last?: ((message: In) => boolean) | undefined;
  /** Whether a message says that the request failed. */
  readonly fails?: ((message: In) => boolean) | undefined;
  /** Whether the session asks again by itself on the next link, so that replies go on. */
  readonly survives?: boolean | undefined;
  /** Time until the first reply, in milliseconds. */
  readonly timeout_ms: number;
}

/** Where the replies go. */
export interface Replies<In> {
  reply(message: In): void;
  done(): void;
  failed(error: SchematicError): void;
}

interface Pending<In> {
  readonly expectation: Expectation<In>;
  readonly replies: Replies<In>;
  timer: Timer;
}

/** The requests that wait for replies. */
export class Correlator<In> {
  readonly #clock: Clock;
  readonly #idOf: (message: In) => unknown;
  readonly #pending = new Set<Pending<In>>();

  /** `idOf` reads the id of the request that a message answers; `undefined` if it has none. */
  constructor(clock: Clock, idOf: (message: In) => unknown) {
    this.#clock = clock;
    this.#idOf = idOf;
  }

  /** How many requests wait. */
  get size(): number {
    return this.#pending.size;
  }

  /** Waits for the replies to a request. The function that comes back gives up on them. */
  expect(expectation: Expectation<In>, replies: Replies<In>): () => void {
    const pending: Pending<In> = { expectation, replies, timer: undefined };
    const { timeout_ms } = expectation;
    pending.timer = this.#clock.after(timeout_ms, () => {
      this.#pending.delete(pending);
      replies.failed(new SchematicError("timeout", `Try again: no reply came in ${timeout_ms} ms`));
    });
    this.#pending.add(pending);
    return () => this.#forget(pending);
  }

  /** Gives a message to the request that it answers; false if it answers none. */
  offer(message: In): boolean {
    const id = this.#idOf(message);
    for (const pending of this.#pending) {
      if (!answers(pending.expectation, id, message)) continue;
      this.#deliver(pending, message);
      return true;
    }
    return false;
  }

  #deliver(pending: Pending<In>, message: In): void {
    const { expectation, replies } = pending;
    this.#clock.cancel(pending.timer);
    const over = expectation.fails?.(message) || (expectation.last?.(message) ?? true);
    if (over) this.#forget(pending);
    replies.reply(message);
    if (over) replies.done();
  }

  /** Tells every request that no reply will come; of a lost link, only those that do not survive it. */
  failAll(error: SchematicError, over = true): void {
    for (const pending of [...this.#pending]) {
      if (!over && pending.expectation.survives) continue;
      this.#forget(pending);
      pending.replies.failed(error);
    }
  }

  #forget(pending: Pending<In>): void {
    this.#clock.cancel(pending.timer);
    this.#pending.delete(pending);
  }
}

function answers<In>(expectation: Expectation<In>, id: unknown, message: In): boolean {
  if (expectation.id !== undefined && JSON.stringify(expectation.id) !== JSON.stringify(id)) return false;
  return expectation.accepts?.(message) ?? true;
}
