//! One watched collection: which changes are new, and where to go on after a connection was lost.

import { SchematicError } from "@tidewire/schematic-runtime";
import type { MutationNotification, Subscribe, Subscribed, Unsubscribe } from "./generated/live_data.js";
import type { Filter } from "./live_data.js";
import { asRecords, type DataRecord } from "./records.js";

/** What became of records: adjacent changes of one kind. */
export interface Change {
  readonly event: "insert" | "update" | "delete";
  readonly ids: readonly string[];
  /** The records as they became, in the order of `ids`; none for deletions. */
  readonly records: readonly DataRecord[];
  /** The last offset that is covered. */
  readonly offset: number;
}

/** What a watch tells. Each member may be left out. */
export interface WatchListener {
  /** Records changed. No change comes twice, and they come in order. */
  change?(change: Change): void;
  /** Everything that is known of the records is void: read them again. The log did not reach back far enough. */
  reload?(): void;
  /** The collection's schema was made, changed or dropped. */
  schema?(): void;
  /** Whether changes come at the moment: true when the server has confirmed the watch, false when the connection is lost. */
  live?(live: boolean): void;
  /** The server refuses the watch. */
  refused?(error: Error): void;
}

/** What is watched. */
export interface WatchOptions {
  /** Only records that fit before or after the change. Deletions are always told. */
  readonly filter?: Filter | undefined;
  /** Since this offset; without it, from now on. */
  readonly afterOffset?: number | undefined;
}

type Ask = (
  request: { readonly name: "Subscribe"; readonly body: Subscribe } | { readonly name: "Unsubscribe"; readonly body: Unsubscribe },
) => Promise<unknown>;

/** A watch, until `stop`. */
export class Watch {
  readonly collection: string;
  readonly #listener: WatchListener;
  readonly #options: WatchOptions;
  readonly #ask: Ask;
  readonly #stopped: () => void;
  #offset: number | undefined;
  /** Grows with every subscription, so that the answer to an older one is recognised. */
  #turn = 0;
  #live = false;
  #over = false;
  /** What came in one breath with a confirmation that is not yet read. */
  readonly #early: MutationNotification[] = [];

  /** Made by `LiveData.watch`. */
  constructor(collection: string, listener: WatchListener, options: WatchOptions, ask: Ask, stopped: () => void) {
    this.collection = collection;
    this.#listener = listener;
    this.#options = options;
    this.#ask = ask;
    this.#stopped = stopped;
    this.#offset = options.afterOffset;
  }

  /** The last offset that was seen; a later watch may go on from it. */
  get offset(): number | undefined {
    return this.#offset;
  }

  /** Ends the watch. */
  stop(): void {
    if (this.#over) return;
    this.#over = true;
    this.#stopped();
    if (this.#live) void this.#unsubscribe();
    this.lost();
  }

  /** There is a connection: subscribes on it. */
  begin(): void {
    void this.#subscribe((this.#turn += 1));
  }

  /** The connection is gone. */
  lost(): void {
    this.#turn += 1;
    this.#early.length = 0;
    this.#setLive(false);
  }

  async #subscribe(turn: number): Promise<void> {
    const { collection } = this;
    const { filter } = this.#options;
    const after = this.#offset === undefined ? {} : { after_offset: this.#offset };
    try {
      const ack = await this.#ask({ name: "Subscribe", body: { collection, ...after, ...(filter ? { filter } : {}) } });
      if (turn === this.#turn) this.#confirmed(ack as Subscribed);
    } catch (thrown) {
      if (turn === this.#turn) this.#failed(thrown);
    }
  }

  #confirmed({ offset, gap }: Subscribed): void {
    if (gap) return this.gap();
    // What was missed follows the confirmation, so a resumed watch stays where it is.
    this.#offset ??= offset;
    this.#setLive(true);
    for (const early of this.#early.splice(0)) this.notice(early);
  }

  #failed(thrown: unknown): void {
    // A lost connection brings the next attempt by itself.
    if (thrown instanceof SchematicError && (thrown.kind === "disconnected" || thrown.kind === "closed")) return;
    this.#listener.refused?.(thrown instanceof Error ? thrown : new Error(String(thrown)));
  }

  /** The log no longer reaches back to where this was: begins anew, and the snapshot that follows is not waited for. */
  gap(): void {
    if (this.#over) return;
    this.#offset = undefined;
    this.lost();
    const turn = this.#turn;
    void this.#unsubscribe().then(async () => {
      if (turn !== this.#turn) return;
      await this.#subscribe(turn);
      if (turn === this.#turn && this.#live) this.#listener.reload?.();
    });
  }

  async #unsubscribe(): Promise<void> {
    // Without a connection there is nothing to end.
    await this.#ask({ name: "Unsubscribe", body: { collection: this.collection } }).catch(() => undefined);
  }

  /** A notification of the collection. */
  notice(notification: MutationNotification): void {
    const { event, record_ids, records, offset } = notification;
    if (this.#over || offset === undefined || !isKnown(event)) return;
    if (!this.#live) return void this.#early.push(notification);
    if (offset <= (this.#offset ?? 0)) return;
    this.#offset = offset;
    this.#listener.change?.({ event, ids: record_ids, records: records === undefined ? [] : asRecords(records), offset });
  }

  /** The collection's schema changed. */
  schemaChanged(): void {
    if (!this.#over) this.#listener.schema?.();
  }

  #setLive(live: boolean): void {
    if (live === this.#live) return;
    this.#live = live;
    this.#listener.live?.(live);
  }
}

function isKnown(event: string): event is Change["event"] {
  return event === "insert" || event === "update" || event === "delete";
}
