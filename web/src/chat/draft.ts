//! What the person has written and not sent, kept per chat over a reload.

import { useCallback, useState } from 'react';
import { localStore } from '../shell/storage';

const keyOf = (sessionId: string) => `tidewire.draft.${sessionId}`;

/** The draft of a chat and the way to change it. */
export function useDraft(sessionId: string): [string, (draft: string) => void] {
  const [draft, setDraft] = useState(() => localStore.getItem(keyOf(sessionId)) ?? '');
  const change = useCallback(
    (next: string) => {
      setDraft(next);
      keep(sessionId, next);
    },
    [sessionId],
  );
  return [draft, change];
}

function keep(sessionId: string, draft: string): void {
  try {
    if (draft === '') localStore.removeItem(keyOf(sessionId));
    else localStore.setItem(keyOf(sessionId), draft);
  } catch {
    // A full storage costs the draft its life over a reload, nothing else.
  }
}
