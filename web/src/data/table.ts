//! One open table: its rows, the changes that arrive, and the edits that are under way.
//!
//! It keeps what is shown in step with the server. How it is drawn, and what the address says, is left to the view.

import { LiveDataError, SchematicError, type Change, type DataRecord, type Filter, type LiveData, type Watch } from '@tidewire/client/live-data';
import type { Sort } from './address';
import { columnsOf, type Column, type FieldSchema } from './columns';
import { sameValue } from './values';
import { Windows, type Total } from './windows';

/** What a collection is, as HTTP says it. */
export interface CollectionFacts {
  readonly count: number;
  readonly fields: Readonly<Record<string, FieldSchema>>;
}

/** Where the table gets things from; tests hold another one. */
export interface TableSource {
  readonly live: Pick<LiveData, 'query' | 'watch' | 'insert' | 'update' | 'delete' | 'get'>;
  /** How large the collection is and what its schema says; `undefined` where nobody can say. */
  readonly facts: (collection: string) => Promise<CollectionFacts | undefined>;
  readonly schedule: (callback: () => void, delayMs: number) => void;
  readonly now: () => number;
}

/** Which table. */
export interface TableQuery {
  readonly collection: string;
  readonly filter: Filter | undefined;
  /** Fields that the filter looks at. */
  readonly filtered: readonly string[];
  readonly sort: Sort | undefined;
}

/** Something that did not work, for people. */
export interface Trouble {
  readonly sentence: string;
  /** The cell that it is about, if it is about one. */
  readonly id?: string;
  readonly field?: string;
}

/** How long a change is to be seen. */
export const GLOW_MS = 1_600;
/** Changes of an order are shown together, at most so often. */
const RENEW_MS = 300;
/** Changes of others are drawn together, at most so often. */
const TELL_MS = 30;
const DIM_MS = 200;
/** Rows that came and went are counted anew after this. */
const RECOUNT_MS = 2_000;
/** Stands for all fields of a record. */
const ALL = '*';

/** An open table. Nothing happens before `open`. */
export class Table {
  readonly query: TableQuery;
  readonly #source: TableSource;
  readonly #windows: Windows;
  readonly #listeners = new Set<() => void>();
  /** Until when the fields of a record are to be seen as changed. */
  readonly #glowing = new Map<string, Map<string, number>>();
  /** What was typed and is not yet confirmed, by record and field. */
  readonly #edits = new Map<string, Map<string, unknown>>();
  /** What is done a little later. */
  readonly #planned = new Set<string>();
  #pinned: DataRecord | undefined;
  /** Whether the pinned record was deleted. */
  #isGone = false;
  #watch: Watch | undefined;
  #columns: readonly Column[] = [];
  #fields: Readonly<Record<string, FieldSchema>> = {};
  #hasRows = false;
  #live = false;
  #refusal: Error | undefined;
  #trouble: Trouble | undefined;
  #held = false;
  /** Rows are to be read again when they are no longer held. */
  #owed = false;
  #version = 0;

  constructor(source: TableSource, query: TableQuery) {
    this.#source = source;
    this.query = query;
    this.#windows = new Windows((skip, limit) => this.#load(skip, limit), () => this.#loaded());
  }

  // What is shown

  /** Follows the table; every change of it changes `version`. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  readonly version = (): number => this.#version;

  get columns(): readonly Column[] {
    return this.#columns;
  }

  get total(): Total {
    return this.#windows.total;
  }

  /** Whether changes arrive at the moment. */
  get live(): boolean {
    return this.#live;
  }

  /** Whether the first rows are there, perhaps none. */
  get isRead(): boolean {
    return this.#windows.isRead;
  }

  /** Why rows cannot be read, for people. */
  get blocked(): string | undefined {
    const error = this.#refusal ?? this.#windows.trouble;
    return error && sentenceOf(error);
  }

  /** What last did not work, until it is dismissed or something works. */
  get trouble(): Trouble | undefined {
    return this.#trouble;
  }

  /** How many rows are kept in memory. */
  get size(): number {
    return this.#windows.size;
  }

  /** A row with what was typed into it; `undefined` while it is read. */
  row(index: number): DataRecord | undefined {
    const row = this.#windows.row(index);
    return row && this.#edited(row);
  }

  /** A record by its id, if it is among the rows that were read or is pinned. */
  find(id: string): DataRecord | undefined {
    const row = this.#windows.find(id) ?? (this.#pinned?.id === id ? this.#pinned : undefined);
    return row && this.#edited(row);
  }

  /** Whether the pinned record was deleted. */
  isGone(id: string): boolean {
    return this.#isGone && this.#pinned?.id === id;
  }

  /** Keeps a record at hand, also when its row is scrolled away, and reads it if it is not there. */
  async pin(id: string): Promise<void> {
    this.#isGone = false;
    this.#pinned = this.#windows.find(id);
    if (!this.#pinned) this.#pinned = await this.#try(() => this.#source.live.get(this.query.collection, id));
  }

  /** Whether a cell has just changed. */
  glows(id: string, field: string): boolean {
    const fields = this.#glowing.get(id);
    const until = fields?.get(field) ?? fields?.get(ALL);
    return until !== undefined && until > this.#source.now();
  }

  /** Whether a cell waits for the server. */
  isSaving(id: string, field: string): boolean {
    return this.#edits.get(id)?.has(field) ?? false;
  }

  #edited(row: DataRecord): DataRecord {
    const edits = this.#edits.get(row.id);
    return edits ? { ...row, ...Object.fromEntries(edits) } : row;
  }

  // Opening and closing

  /** Watches, and reads the first rows. */
  open(): void {
    const { collection, filter } = this.query;
    this.#watch = this.#source.live.watch(
      collection,
      {
        change: (change) => this.#change(change),
        reload: () => this.#reload(),
        schema: () => void this.#readFacts(),
        live: (live) => this.#setLive(live),
        refused: (error) => this.#refused(error),
      },
      { filter },
    );
    void this.#readFacts();
    this.want(0, 1);
  }

  /** Ends it. */
  close(): void {
    this.#watch?.stop();
    this.#listeners.clear();
  }

  /** These rows are on the screen. */
  want(first: number, end: number): void {
    this.#windows.want(first, end);
  }

  /** Tries again what failed. */
  retry(): void {
    if (this.#refusal) this.#watch?.begin();
    this.#refusal = undefined;
    this.#windows.retry();
    this.#tell();
  }

  dismiss(): void {
    this.#trouble = undefined;
    this.#tell();
  }

  async #load(skip: number, limit: number): Promise<readonly DataRecord[]> {
    const { collection, filter, sort } = this.query;
    return this.#source.live.query(collection, { filter, sort: sort && [sort], skip, limit });
  }

  #loaded(): void {
    // Before there are rows nobody knows how wide columns are.
    const known = this.#hasRows ? this.#columns : [];
    this.#hasRows ||= this.#windows.size > 0;
    this.#columns = columnsOf(this.#windows.sample(), this.#fields, known);
    this.#tell();
  }

  async #readFacts(): Promise<void> {
    const facts = await this.#source.facts(this.query.collection);
    if (!facts) return;
    this.#fields = facts.fields;
    // The count is that of the whole collection.
    if (!this.query.filter) this.#windows.setTotal(facts.count);
    this.#loaded();
  }

  #setLive(live: boolean): void {
    this.#live = live;
    if (live) this.#refusal = undefined;
    if (live && this.#windows.trouble) this.#windows.retry();
    this.#tell();
  }

  #refused(error: Error): void {
    this.#refusal = error;
    this.#tell();
  }

  #reload(): void {
    void this.#readFacts();
    this.#windows.renew();
  }

  // What others change

  #change({ event, ids, records }: Change): void {
    if (event === 'update') for (const record of records) this.#updated(record);
    else this.#moved(event === 'insert' ? 1 : -1, ids);
    this.#soon('tell', TELL_MS, () => this.#tell());
  }

  /** Does something a little later, once for however many reasons there are until then. */
  #soon(what: string, delayMs: number, work: () => void): void {
    if (this.#planned.has(what)) return;
    this.#planned.add(what);
    this.#source.schedule(() => {
      this.#planned.delete(what);
      work();
    }, delayMs);
  }

  #updated(record: DataRecord): void {
    if (this.#pinned?.id === record.id) this.#pinned = record;
    const before = this.#windows.replace(record);
    // A record that was not there may belong there now.
    if (!before) return this.#renewIf(this.#isArranged);
    const fields = changedFields(before, record);
    this.#glow(record.id, fields);
    this.#renewIf(fields.some((field) => this.#arranges(field)));
  }

  #moved(by: 1 | -1, ids: readonly string[]): void {
    if (by === 1) for (const id of ids) this.#glow(id, [ALL]);
    if (this.#pinned && ids.includes(this.#pinned.id)) this.#isGone = by === -1;
    // Between the count and the watch something may have happened that both tell, or neither.
    this.#soon('count', RECOUNT_MS, () => void this.#readFacts());
    // Deletions are told of all records, also of those that the filter leaves out.
    if (!this.query.filter) this.#windows.addToTotal(by * ids.length);
    this.#renewIf(true);
  }

  get #isArranged(): boolean {
    return this.query.filter !== undefined || this.query.sort !== undefined;
  }

  #arranges(field: string): boolean {
    const { filtered, sort } = this.query;
    const heads = [...filtered, ...(sort ? [sort.field] : [])].map((path) => path.split('.')[0]);
    return heads.includes(field);
  }

  #renewIf(needed: boolean): void {
    if (needed) this.#soon('renew', RENEW_MS, () => this.#renew());
  }

  #renew(): void {
    this.#owed = this.#held;
    if (!this.#held) this.#windows.renew();
  }

  /** Rows keep their places while somebody writes in one of them; what changed meanwhile is shown afterwards. */
  hold(held: boolean): void {
    this.#held = held;
    if (!held && this.#owed) this.#renew();
  }

  #glow(id: string, fields: readonly string[]): void {
    if (fields.length === 0) return;
    const until = this.#source.now() + GLOW_MS;
    const glowing = this.#glowing.get(id) ?? new Map<string, number>();
    for (const field of fields) glowing.set(field, until);
    this.#glowing.set(id, glowing);
    this.#soon('dim', DIM_MS, () => this.#dim());
  }

  #dim(): void {
    if (this.#glowing.size > 0) this.#soon('dim', DIM_MS, () => this.#dim());
    const now = this.#source.now();
    for (const [id, fields] of this.#glowing) {
      for (const [field, until] of fields) if (until <= now) fields.delete(field);
      if (fields.size === 0) this.#glowing.delete(id);
    }
    this.#tell();
  }

  // What is changed here

  /** Changes fields of a record. They are shown at once, and taken back if the server refuses. */
  async edit(id: string, changes: Readonly<Record<string, unknown>>): Promise<boolean> {
    const edits = this.#edits.get(id) ?? new Map<string, unknown>();
    for (const [field, value] of Object.entries(changes)) edits.set(field, value);
    this.#edits.set(id, edits);
    this.#trouble = undefined;
    this.#tell();
    try {
      this.#updated(await this.#source.live.update(this.query.collection, id, changes));
      return true;
    } catch (thrown) {
      const [field] = Object.keys(changes);
      this.#fail(thrown, { id, ...(field === undefined ? {} : { field }) });
      return false;
    } finally {
      this.#settle(id, changes);
    }
  }

  /** Takes the marks off, unless something newer was typed meanwhile. */
  #settle(id: string, changes: Readonly<Record<string, unknown>>): void {
    const edits = this.#edits.get(id);
    for (const [field, value] of Object.entries(changes)) if (edits?.get(field) === value) edits?.delete(field);
    if (edits?.size === 0) this.#edits.delete(id);
    this.#tell();
  }

  /** Writes a new record and gives its id; `undefined` if the server refuses. */
  async insert(record: Readonly<Record<string, unknown>>): Promise<string | undefined> {
    return this.#try(() => this.#source.live.insert(this.query.collection, record));
  }

  /** Removes a record. */
  async remove(id: string): Promise<boolean> {
    return (await this.#try(() => this.#source.live.delete(this.query.collection, id))) !== undefined;
  }

  async #try<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      const done = await work();
      this.#trouble = undefined;
      return done;
    } catch (thrown) {
      this.#fail(thrown, {});
      return undefined;
    } finally {
      this.#tell();
    }
  }

  #fail(thrown: unknown, where: Omit<Trouble, 'sentence'>): void {
    this.#trouble = { sentence: sentenceOf(thrown), ...where };
  }

  #tell(): void {
    this.#version += 1;
    for (const listener of [...this.#listeners]) listener();
  }
}

/** The members of which two records differ. */
export function changedFields(before: DataRecord, after: DataRecord): readonly string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].filter((name) => !sameValue(before[name], after[name]));
}

/** What went wrong, as a sentence for people. */
export function sentenceOf(thrown: unknown): string {
  if (thrown instanceof LiveDataError) return capital(thrown.message);
  if (thrown instanceof SchematicError && thrown.kind === 'timeout') return 'The server did not answer in time; try again';
  if (thrown instanceof SchematicError && thrown.kind === 'disconnected') return 'The connection was lost before the server answered; look whether it was done, then try again';
  return capital(thrown instanceof Error ? thrown.message : String(thrown));
}

/** Begins a sentence as people do; names of fields and quoted words stay as they are. */
function capital(sentence: string): string {
  return /^[a-z]+ /.test(sentence) ? sentence.charAt(0).toUpperCase() + sentence.slice(1) : sentence;
}
