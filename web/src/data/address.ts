//! Which table the address names: `#/d/orders?filter=status%20%3D%20open&sort=-total`.

import { useSyncExternalStore } from 'react';

/** By which member rows are ordered. */
export interface Sort {
  readonly field: string;
  readonly ascending: boolean;
}

/** A table, or the list of collections without one. */
export interface DataPlace {
  readonly collection?: string;
  /** As it is written in the filter bar. */
  readonly filter: string;
  readonly sort?: Sort;
}

const ADDRESS = /^#\/d(?:\/([^?]*))?(?:\?(.*))?$/;

/** Whether an address leads to the data. */
export function isData(hash: string): boolean {
  return ADDRESS.test(hash);
}

/** The place that an address names. */
export function placeOf(hash: string): DataPlace {
  const [, name = '', search = ''] = ADDRESS.exec(hash) ?? [];
  const members = new URLSearchParams(search);
  const sort = members.get('sort');
  return {
    ...(name === '' ? {} : { collection: decoded(name) }),
    filter: members.get('filter') ?? '',
    ...(sort ? { sort: sortOf(sort) } : {}),
  };
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function sortOf(text: string): Sort {
  return text.startsWith('-') ? { field: text.slice(1), ascending: false } : { field: text, ascending: true };
}

/** The address of a place. */
export function addressOf({ collection, filter, sort }: Partial<DataPlace>): string {
  if (collection === undefined) return '#/d';
  const members = new URLSearchParams();
  if (filter) members.set('filter', filter);
  if (sort) members.set('sort', `${sort.ascending ? '' : '-'}${sort.field}`);
  const search = members.toString();
  return `#/d/${encodeURIComponent(collection)}${search && `?${search}`}`;
}

/** Follows the address. */
export function useHash(): string {
  return useSyncExternalStore(subscribe, () => location.hash);
}

/** Goes to a place; the browser's back button leads back. */
export function goTo(place: Partial<DataPlace>): void {
  location.hash = addressOf(place);
}

function subscribe(listener: () => void): () => void {
  addEventListener('hashchange', listener);
  return () => removeEventListener('hashchange', listener);
}
