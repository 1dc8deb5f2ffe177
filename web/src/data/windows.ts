//! The rows that have been read, in pages: what is on the screen is fetched, what was seen long ago is forgotten.
//!
//! A page that has become old is shown until its successor is there. What the rows mean, and when they become old, is
//! said by the table.

import type { DataRecord } from '@tidewire/client/live-data';

/** How many rows there are; not exact while only a beginning is known. */
export interface Total {
  readonly count: number;
  readonly exact: boolean;
}

interface Page {
  rows: readonly DataRecord[];
  /** The round in which it was read. */
  round: number;
}

/** Reads rows; fails with a sentence. */
export type Load = (skip: number, limit: number) => Promise<readonly DataRecord[]>;

/** Rows of a page. */
export const PAGE = 100;
/** Pages that are kept. */
const KEPT = 40;
/** Pages that are read at once. */
const AT_ONCE = 3;

/** A window onto rows that are elsewhere. */
export class Windows {
  readonly #load: Load;
  readonly #changed: () => void;
  /** The longest unseen first. */
  readonly #pages = new Map<number, Page>();
  readonly #where = new Map<string, number>();
  readonly #reading = new Set<number>();
  #wanted: readonly number[] = [];
  #round = 0;
  #total: number | undefined;
  #trouble: Error | undefined;

  constructor(load: Load, changed: () => void) {
    this.#load = load;
    this.#changed = changed;
  }

  /** How many rows there are, as far as is known. */
  get total(): Total {
    if (this.#total !== undefined) return { count: this.#total, exact: true };
    const pages = [...this.#pages].filter(([, page]) => page.rows.length > 0).map(([number]) => number);
    return { count: pages.length === 0 ? 0 : (Math.max(...pages) + 2) * PAGE, exact: false };
  }

  /** Says how many rows there are. */
  setTotal(count: number): void {
    this.#total = count;
    this.#changed();
  }

  /** Rows were added or taken away. */
  addToTotal(count: number): void {
    if (this.#total !== undefined) this.#total = Math.max(0, this.#total + count);
  }

  /** Whether anything has been read. */
  get isRead(): boolean {
    return this.#pages.size > 0;
  }

  /** Why the last reading failed, until one succeeds. */
  get trouble(): Error | undefined {
    return this.#trouble;
  }

  /** A row, if it has been read. */
  row(index: number): DataRecord | undefined {
    return this.#pages.get(Math.floor(index / PAGE))?.rows[index % PAGE];
  }

  /** A record, if it is among what has been read. */
  find(id: string): DataRecord | undefined {
    const page = this.#where.get(id);
    return page === undefined ? undefined : this.#pages.get(page)?.rows.find((row) => row.id === id);
  }

  /** How many rows are kept. */
  get size(): number {
    return this.#where.size;
  }

  /** The first rows that have been read. */
  sample(): readonly DataRecord[] {
    const first = this.#pages.size > 0 ? Math.min(...this.#pages.keys()) : 0;
    return this.#pages.get(first)?.rows ?? [];
  }

  /** These rows are on the screen. */
  want(first: number, end: number): void {
    const from = Math.floor(first / PAGE);
    const to = Math.max(from, Math.floor((end - 1) / PAGE));
    this.#wanted = Array.from({ length: to - from + 1 }, (_, index) => from + index);
    for (const number of this.#wanted) this.#touch(number);
    this.#readMore();
  }

  /** What has been read is old: reads again what is on the screen. */
  renew(): void {
    this.#round += 1;
    this.#readMore();
  }

  /** Tries again after trouble. */
  retry(): void {
    this.#trouble = undefined;
    this.#readMore();
  }

  /** A record has become another; gives the one of before, if it was there. */
  replace(record: DataRecord): DataRecord | undefined {
    const number = this.#where.get(record.id);
    const page = number === undefined ? undefined : this.#pages.get(number);
    if (!page) return undefined;
    const before = page.rows.find((row) => row.id === record.id);
    page.rows = page.rows.map((row) => (row.id === record.id ? record : row));
    return before;
  }

  #touch(number: number): void {
    const page = this.#pages.get(number);
    if (!page) return;
    this.#pages.delete(number);
    this.#pages.set(number, page);
  }

  #readMore(): void {
    if (this.#trouble) return;
    for (const number of this.#wanted) {
      if (this.#reading.size >= AT_ONCE) return;
      if (this.#reading.has(number) || this.#pages.get(number)?.round === this.#round) continue;
      if (this.#total !== undefined && number > 0 && number * PAGE >= this.#total) continue;
      void this.#read(number, this.#round);
    }
  }

  async #read(number: number, round: number): Promise<void> {
    this.#reading.add(number);
    try {
      this.#keep(number, await this.#load(number * PAGE, PAGE), round);
    } catch (thrown) {
      this.#trouble = thrown instanceof Error ? thrown : new Error(String(thrown));
    }
    this.#reading.delete(number);
    this.#readMore();
    this.#changed();
  }

  #keep(number: number, rows: readonly DataRecord[], round: number): void {
    this.#drop(number);
    this.#pages.set(number, { rows, round });
    for (const { id } of rows) this.#where.set(id, number);
    // A short page says where the rows end, better than any count.
    if (rows.length > 0 && rows.length < PAGE) this.#total = number * PAGE + rows.length;
    else if (rows.length === 0) this.#endsBefore(number);
    else if (this.#total !== undefined) this.#total = Math.max(this.#total, (number + 1) * PAGE);
    for (const old of this.#pages.keys()) {
      if (this.#pages.size <= KEPT) break;
      if (!this.#wanted.includes(old)) this.#drop(old);
    }
  }

  #endsBefore(number: number): void {
    this.#total = Math.min(this.#total ?? Infinity, number * PAGE);
    for (const later of [...this.#pages.keys()]) if (later > number) this.#drop(later);
  }

  #drop(number: number): void {
    for (const { id } of this.#pages.get(number)?.rows ?? []) {
      if (this.#where.get(id) === number) this.#where.delete(id);
    }
    this.#pages.delete(number);
  }
}
