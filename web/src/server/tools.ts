//! The server's tools: what each is for, in its own words.

import { useEffect, useSyncExternalStore } from 'react';
import { fetchJson } from './access';

/** A tool as the server describes it. */
export interface ToolSpec {
  readonly name: string;
  readonly description?: string;
}

let tools: readonly ToolSpec[] | undefined;
let asked = false;
const listeners = new Set<() => void>();

/** What the server says of a tool; read once, when the first card needs it. */
export function useTool(name: string): ToolSpec | undefined {
  useEffect(ask, []);
  return useSyncExternalStore(subscribe, () => tools?.find((tool) => tool.name === name));
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function ask(): void {
  if (asked) return;
  asked = true;
  fetchJson<readonly ToolSpec[]>('/api/chat/tools').then(
    (list) => {
      tools = list;
      for (const listener of listeners) listener();
    },
    () => {
      // Without the description a card still has the name and the arguments; the next one asks again.
      asked = false;
    },
  );
}
