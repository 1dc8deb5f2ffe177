//! What the page reads over HTTP beside the conversation: the catalogue, the list of chats, and the server's health.

import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { fetchJson } from './access';

/** A table of the catalogue. */
export interface Table {
  readonly name: string;
  readonly full_name: string;
  readonly table_type: 'FACT' | 'DIMENSION' | 'VIEW';
  readonly schema: string;
  readonly description: string;
  readonly column_count: number;
}

/** What is loaded, and three questions that work on it. */
export interface Catalog {
  readonly tables: readonly Table[];
  readonly suggestions: readonly string[];
  /** The collections of documents that can be asked about. */
  readonly documents?: readonly string[];
  /** Who can answer: the first one does unless another one is asked. */
  readonly agents?: readonly string[];
  readonly metrics: {
    readonly total_tables: number;
    readonly total_columns: number;
    readonly facts_count: number;
    readonly dimensions_count: number;
    readonly relationships_count: number;
  };
}

/** A chat of this person. */
export interface ChatSummary {
  readonly session_id: string;
  readonly chat_id: string;
  readonly title: string;
  readonly updated_at: string;
  readonly running: boolean;
}

/** How the server is. */
export interface Health {
  readonly status: 'ok' | 'draining';
  readonly version: string;
  readonly model: string;
}

/** Something read from the server: its newest value, and whether the last attempt failed. */
export interface Resource<T> {
  readonly value: T | undefined;
  readonly failed: boolean;
  /** Reads it again. A value that is there stays until the new one has come. */
  readonly refresh: () => void;
}

/** The catalogue. */
export const useCatalog = () => useResource<Catalog>('/api/catalog');

/** The chats, newest first. */
export const useChats = () => useResource<{ chats: readonly ChatSummary[] }>('/api/chats');

/** The server's health, asked for again now and then: a server that drains says so nowhere else. */
export const useHealth = () => useResource<Health>('/api/health', 20_000);

function useResource<T>(path: string, everyMs?: number): Resource<T> {
  const [state, setState] = useState<{ value: T | undefined; failed: boolean }>({ value: undefined, failed: false });
  const newest = useRef(0);
  const refresh = useCallback(() => {
    const mine = ++newest.current;
    fetchJson<T>(path).then(
      (value) => mine === newest.current && setState({ value, failed: false }),
      () => mine === newest.current && setState((before) => ({ ...before, failed: true })),
    );
  }, [path]);
  useEffect(() => {
    refresh();
    const onVisible = () => document.visibilityState === 'visible' && refresh();
    document.addEventListener('visibilitychange', onVisible);
    const timer = everyMs === undefined ? undefined : setInterval(onVisible, everyMs);
    return () => {
      document.removeEventListener('visibilitychange', onVisible);
      clearInterval(timer);
    };
  }, [refresh, everyMs]);
  return useMemo(() => ({ ...state, refresh }), [state, refresh]);
}
