//! What waits to be sent, bounded by count and by bytes.
//!
//! A message leaves the outbox when the platform has taken it, when its sender withdraws it, or when it is handed
//! back because the connection ended. When to send is the business of the connection.

import { SchematicError } from "./errors.js";
import type { Frame } from "./transport.js";

/** Where a message is on its way out. */
export type OutgoingStatus = "queued" | "sent" | "withdrawn" | "unsent";

/** A message that was given to `send`. */
export interface Outgoing<Out> {
  readonly message: Out;
  readonly status: OutgoingStatus;
  /** Takes it back; false if it was too late. */
  withdraw(): boolean;
}

/** The bounds of an outbox. */
export interface OutboxBounds {
  readonly outbound_messages: number;
  readonly outbound_bytes: number;
}

class Item<Out> implements Outgoing<Out> {
  status: OutgoingStatus = "queued";

  constructor(
    readonly message: Out,
    readonly frame: Frame,
    readonly bytes: number,
    private readonly leave: (item: Item<Out>) => void,
  ) {}

  withdraw(): boolean {
    if (this.status !== "queued") return false;
    this.status = "withdrawn";
    this.leave(this);
    return true;
  }
}

/** Size of a frame, in bytes. */
export function byteLength(frame: Frame): number {
  return typeof frame === "string" ? new TextEncoder().encode(frame).length : frame.byteLength;
}

/** A queue of messages that wait to be sent. */
export class Outbox<Out> {
  readonly #bounds: OutboxBounds;
  readonly #items = new Set<Item<Out>>();
  #bytes = 0;
  #waiting: (() => void)[] = [];

  constructor(bounds: OutboxBounds) {
    this.#bounds = bounds;
  }

  /** How many messages wait. */
  get size(): number {
    return this.#items.size;
  }

  /** How many bytes wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a message, encoded as `frame`; an error of kind `full` if there is no place. */
  add(message: Out, frame: Frame): Outgoing<Out> {
    const bytes = byteLength(frame);
    if (!this.#fits(bytes)) {
      throw new SchematicError("full", `Wait until earlier messages are sent: ${this.size} messages of ${this.#bytes} bytes are queued`);
    }
    const item = new Item(message, frame, bytes, (left) => this.#leave(left));
    this.#items.add(item);
    this.#bytes += bytes;
    return item;
  }

  #fits(bytes: number): boolean {
    return this.size < this.#bounds.outbound_messages && this.#bytes + bytes <= this.#bounds.outbound_bytes;
  }

  /** Settles when something has left the queue. */
  room(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Hands frames to `write`, oldest first, for as long as it takes them. */
  flush(write: (frame: Frame, message: Out) => boolean): void {
    for (const item of this.#items) {
      if (item.status !== "queued") continue;
      item.status = "sent";
      if (!write(item.frame, item.message)) return void (item.status = "queued");
      this.#leave(item);
    }
  }

  /** Empties the queue and gives back what was in it, oldest first. */
  handBack(): Out[] {
    const items = [...this.#items];
    for (const item of items) {
      item.status = "unsent";
      this.#leave(item);
    }
    return items.map((item) => item.message);
  }

  #leave(item: Item<Out>): void {
    if (!this.#items.delete(item)) return;
    this.#bytes -= item.bytes;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
