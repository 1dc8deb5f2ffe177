//! What the person has written and not sent, kept per chat over a reload.

import { useCallback, useState } from 'react';

const keyOf = (sessionId: string) => `tidewire.draft.${sessionId}`;

/** The draft of a chat and the way to change it. */
export function useDraft(sessionId: string): [string, (draft: string) => void] {
  const [draft, setDraft] = useState(() => load(sessionId));
  const change = useCallback(
    (next: string) => {
      setDraft(next);
      keep(sessionId, next);
    },
    [sessionId],
  );
  return [draft, change];
}

function load(sessionId: string): string {
  try {
    return localStorage.getItem(keyOf(sessionId)) ?? '';
  } catch {
    return '';
  }
}

function keep(sessionId: string, draft: string): void {
  try {
    if (draft === '') localStorage.removeItem(keyOf(sessionId));
    else localStorage.setItem(keyOf(sessionId), draft);
  } catch {
    // Without storage the draft lives as long as the page.
  }
}
