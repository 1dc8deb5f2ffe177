//! Short sentences about what was just done, which go by themselves.

import { useEffect, useSyncExternalStore } from 'react';
import { IconButton } from './controls';
import { CloseIcon } from './icons';

/** One sentence; `bad` stays until it is closed. */
interface Said {
  readonly id: number;
  readonly text: string;
  readonly tone: 'calm' | 'bad';
}

/** How long a calm one stays. */
const STAYS_MS = 5_000;

let said: Said | undefined;
const listeners = new Set<() => void>();

/** Shows a sentence, in place of the one before. */
export function say(text: string, tone: Said['tone'] = 'calm'): void {
  show({ id: (said?.id ?? 0) + 1, text, tone });
}

function show(next: Said | undefined): void {
  said = next;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Where sentences appear. The region is always there, so that a screen reader hears what comes into it. */
export function Notices() {
  const current = useSyncExternalStore(subscribe, () => said);
  useEffect(() => {
    if (current?.tone !== 'calm') return;
    const timer = setTimeout(() => show(undefined), STAYS_MS);
    return () => clearTimeout(timer);
  }, [current]);
  return (
    <div role="status" className="pointer-events-none fixed inset-x-0 bottom-40 z-40 flex justify-center px-4">
      {current && (
        <p key={current.id} data-testid="notice" className={`appear pointer-events-auto flex max-w-lg items-center gap-2 rounded-lg border py-1 pr-1 pl-3 text-sm ${current.tone === 'bad' ? 'border-bad bg-bad-tint text-bad' : 'border-edge bg-page text-ink'}`}>
          <span className="min-w-0 break-words">{current.text}</span>
          <IconButton label="Dismiss" onClick={() => show(undefined)}><CloseIcon /></IconButton>
        </p>
      )}
    </div>
  );
}
