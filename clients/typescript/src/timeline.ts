//! How far a conversation has been seen, and what of a new frame is new.

import type { ChatFrame, ChatPosition } from "./session_chat.js";

/** The highest sequence number that was seen, and its epoch. */
export class Timeline {
  #seq: number;
  #epoch: number | undefined;
  /** What had been seen when the connection began; the server says nothing of it again except by mistake. */
  #floor: number;
  /** Kinds of frames that came with the highest number: one number may be told in several frames. */
  #told = new Set<string>();

  constructor(position: ChatPosition = { seq: 0 }) {
    this.#seq = this.#floor = position.seq;
    this.#epoch = position.epoch;
  }

  get position(): ChatPosition {
    return this.#epoch === undefined ? { seq: this.#seq } : { seq: this.#seq, epoch: this.#epoch };
  }

  /** A connection begins; gives the place from which it goes on. */
  begin(): ChatPosition {
    this.#floor = this.#seq;
    return this.position;
  }

  /** The server has said where the conversation stands, perhaps that it begins anew. */
  ready(ready: { readonly epoch: number; readonly reset: boolean }): void {
    this.#epoch = ready.epoch;
    if (ready.reset) this.#seq = this.#floor = 0;
    if (ready.reset) this.#told.clear();
  }

  /** Whether a frame is new; if so, it has been seen from now on. Frames without a number always are. */
  isNew(frame: ChatFrame): boolean {
    const seq = "seq" in frame ? frame.seq : undefined;
    if (seq === undefined) return true;
    if (seq < this.#seq || seq <= this.#floor) return false;
    if (seq === this.#seq && this.#told.has(frame.type)) return false;
    if (seq > this.#seq) this.#told.clear();
    this.#told.add(frame.type);
    this.#seq = seq;
    return true;
  }
}
