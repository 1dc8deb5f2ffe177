//! The page's one connection for data, and what is asked about collections over HTTP.

import { LiveData } from '@tidewire/client/live-data';
import { useCallback, useEffect, useRef, useState } from 'react';
import { obtainTicket } from '../connection/port';
import { fetchJson } from '../server/access';
import type { FieldSchema } from './columns';
import type { CollectionFacts, TableSource } from './table';

let opened: LiveData | undefined;

/** The connection; it is made when the data is first looked at. */
export function pageLive(): LiveData {
  return (opened ??= new LiveData({ baseUrl: location.origin, ticket: obtainTicket }));
}

/** Ends the connection: nobody looks at data any more, or somebody else signs in. */
export function leaveLive(): void {
  opened?.close();
  opened = undefined;
}

/** What tables of the page stand on. */
export function pageSource(): TableSource {
  return { live: pageLive(), facts: readFacts, schedule: (callback, delay) => void setTimeout(callback, delay), now: () => Date.now() };
}

interface CollectionReport {
  readonly collection?: { readonly fields?: Readonly<Record<string, FieldSchema>> | null };
  readonly analytics?: { readonly record_count?: number };
}

/** Size and schema of a collection; `undefined` where the server does not say. */
export async function readFacts(collection: string): Promise<CollectionFacts | undefined> {
  try {
    const report = await fetchJson<CollectionReport>(`/api/collections/${encodeURIComponent(collection)}`);
    const count = report.analytics?.record_count;
    return count === undefined ? undefined : { count, fields: report.collection?.fields ?? {} };
  } catch {
    return undefined;
  }
}

/** A collection in the list. */
export interface Listed {
  readonly name: string;
  readonly count: number | undefined;
}

/** The collections, as far as they are known. */
export interface Collections {
  readonly list: readonly Listed[] | undefined;
  readonly trouble: string | undefined;
  readonly refresh: () => void;
  /** The open table knows better how many records there are. */
  readonly counted: (name: string, count: number) => void;
}

/** Collections that are counted; more of them are listed without figures. */
const COUNTED = 60;

/** The collections that may be read, with their sizes, read again with every connection. */
export function useCollections(): Collections {
  const [list, setList] = useState<readonly Listed[]>();
  const [trouble, setTrouble] = useState<string>();
  const newest = useRef(0);
  const refresh = useCallback(() => {
    const mine = ++newest.current;
    const show = (next: readonly Listed[]) => mine === newest.current && setList(next);
    pageLive().collections().then(
      (names) => {
        setTrouble(undefined);
        setList((before) => names.map((name) => ({ name, count: before?.find((each) => each.name === name)?.count })));
        void countAll(names).then(show);
      },
      (thrown: unknown) => mine === newest.current && setTrouble(thrown instanceof Error ? thrown.message : String(thrown)),
    );
  }, []);
  useEffect(() => pageLive().onStatus((status) => status.state === 'online' && refresh()), [refresh]);
  useEffect(() => pageLive().connect(), []);
  const counted = useCallback((name: string, count: number) => {
    setList((before) => (before?.some((each) => each.name === name) ? before.map((each) => (each.name === name ? { name, count } : each)) : before));
  }, []);
  return { list, trouble, refresh, counted };
}

async function countAll(names: readonly string[]): Promise<readonly Listed[]> {
  const counts = await Promise.all(names.slice(0, COUNTED).map(async (name) => (await readFacts(name))?.count));
  return names.map((name, index) => ({ name, count: counts[index] }));
}
