//! What waits to be sent, bounded by count and by bytes.
//!
//! A message is queued, then written, and leaves when it counts as sent: at once, or when its arrival is confirmed. It
//! also leaves when its sender withdraws it, or when it is handed back because the connection ended. When to send is
//! the business of the connection.

import { SchematicError } from "./errors.js";
import type { Frame } from "./transport.js";

/** Where a message is on its way out. `written` is on its way, and nobody knows yet whether it arrived. */
export type OutgoingStatus = "queued" | "written" | "sent" | "withdrawn" | "unsent";

/** What becomes of a message that was written when the link was lost, and of which nobody knows whether it arrived. */
export type Fate =
  /** It may be sent again. */
  | "again"
  /** The session says it again by itself. */
  | "restored"
  /** Its sender gets it back and decides. */
  | "unknown";

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
  /** Oldest first: what was written stands before what is queued. */
  readonly #items = new Set<Item<Out>>();
  #written = 0;
  #bytes = 0;
  #waiting: (() => void)[] = [];

  constructor(bounds: OutboxBounds) {
    this.#bounds = bounds;
  }

  /** How many messages are not yet sent. */
  get size(): number {
    return this.#items.size;
  }

  /** Whether this very message waits to be written. */
  queues(message: Out): boolean {
    return [...this.#items].some((item) => item.message === message && item.status === "queued");
  }

  /** How many of them wait to be written. */
  get queued(): number {
    return this.#items.size - this.#written;
  }

  /** How many of them are written and not yet confirmed. */
  get written(): number {
    return this.#written;
  }

  /** How many bytes are not yet sent. */
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

  /** Hands frames to `write`, oldest first, for as long as it takes them. Unless they are to be kept until {@link confirm}, they are sent. */
  flush(write: (frame: Frame, message: Out) => boolean, keep = false): void {
    for (const item of this.#items) {
      if (item.status !== "queued") continue;
      item.status = keep ? "written" : "sent";
      // What is written while a listener hears of it may already have ended the link.
      this.#written += keep ? 1 : 0;
      if (!write(item.frame, item.message)) {
        this.#written -= keep ? 1 : 0;
        return void (item.status = "queued");
      }
      if (!keep) this.#leave(item);
    }
  }

  /** The oldest `count` messages that are written have arrived. */
  confirm(count: number): void {
    for (const item of [...this.#items].slice(0, Math.min(count, this.#written))) this.#settle(item, "sent");
  }

  /** The link was lost: each written message meets its fate. Gives back those of which nobody knows, oldest first. */
  linkLost(fate: (message: Out) => Fate): Out[] {
    const unknown: Out[] = [];
    for (const item of [...this.#items].slice(0, this.#written)) {
      const what = fate(item.message);
      if (what === "unknown") unknown.push(item.message);
      if (what === "again") item.status = "queued";
      else this.#settle(item, what === "restored" ? "sent" : "unsent");
    }
    this.#written = 0;
    return unknown;
  }

  /** Empties the queue and gives back what was in it, oldest first. */
  handBack(): Out[] {
    const items = [...this.#items];
    for (const item of items) this.#settle(item, "unsent");
    return items.map((item) => item.message);
  }

  #settle(item: Item<Out>, status: OutgoingStatus): void {
    if (item.status === "written") this.#written -= 1;
    item.status = status;
    this.#leave(item);
  }

  #leave(item: Item<Out>): void {
    if (!this.#items.delete(item)) return;
    this.#bytes -= item.bytes;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
