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
  /** The failed run whose error has not come: it is told by the same number as the failure. */
  #failed: string | undefined;

  constructor(position: ChatPosition = { seq: 0 }) {
    this.#seq = this.#floor = position.seq;
    this.#epoch = position.epoch;
  }

  /** The number after which everything else has to be told. */
  get position(): ChatPosition {
    const seq = this.#failed === undefined ? this.#seq : this.#seq - 1;
    return this.#epoch === undefined ? { seq } : { seq, epoch: this.#epoch };
  }

  /** A connection begins; gives the place from which it goes on. */
  begin(): ChatPosition {
    this.#floor = this.position.seq;
    return this.position;
  }

  /** The server has said where the conversation stands, perhaps that it begins anew. */
  ready(ready: { readonly epoch: number; readonly reset: boolean }): void {
    this.#epoch = ready.epoch;
    if (!ready.reset) return;
    this.#seq = this.#floor = 0;
    this.#told.clear();
    this.#failed = undefined;
  }

  /** Whether a frame is new; if so, it has been seen from now on. Frames without a number always are. */
  isNew(frame: ChatFrame): boolean {
    const seq = "seq" in frame ? frame.seq : undefined;
    if (frame.type === "error" && frame.run_id === this.#failed) this.#failed = undefined;
    if (seq === undefined) return true;
    if (seq < this.#seq || seq <= this.#floor) return false;
    if (seq === this.#seq && this.#told.has(frame.type)) return false;
    if (seq > this.#seq) this.#told.clear();
    this.#told.add(frame.type);
    this.#seq = seq;
    this.#failed = frame.type === "agent" && frame.status === "failed" ? frame.run_id : undefined;
    return true;
  }
}
