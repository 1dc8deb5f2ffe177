//! One dot and one sentence about the connection. Never in the way.

import type { Words } from './words';
import { TextButton } from '../shell/controls';

const DOT: Readonly<Record<Words['tone'], string>> = { good: 'bg-good', busy: 'bg-busy', bad: 'bg-bad' };

/** The dot with its two words. */
export function ConnectionDot({ words, compact = false }: { words: Words; compact?: boolean }) {
  return (
    <span className={`flex items-center gap-2 text-sm text-muted ${compact ? 'px-2' : ''}`} title={words.sentence ?? words.short}>
      <span aria-hidden="true" className={`size-2 shrink-0 rounded-full ${DOT[words.tone]}`} />
      <span className={compact ? 'sr-only' : ''}>{words.short}</span>
    </span>
  );
}

interface BannerProps {
  words: Words;
  onRetry(): void;
  onNewChat(): void;
}

/**
 * The sentence above the composer, when there is one. It is always in the page, so that a screen reader hears it
 * change; the countdown is left out of what is read aloud.
 */
export function ConnectionBanner({ words, onRetry, onNewChat }: BannerProps) {
  return (
    <div data-testid="connection-status" data-tone={words.tone} data-short={words.short}>
      <span role="status" className="sr-only">{words.short}</span>
      {words.sentence !== undefined && (
        <div className={`appear mb-2 flex flex-wrap items-center gap-x-3 gap-y-2 rounded-lg px-3 py-2 text-sm ${words.tone === 'bad' ? 'bg-bad-tint text-bad' : 'bg-busy-tint text-busy'}`}>
          <span className="flex-1 basis-56 tabular-nums">{words.sentence}</span>
          {words.action === 'retry' && <TextButton data-testid="try-now" onClick={onRetry}>Try now</TextButton>}
          {words.action === 'new_chat' && <TextButton onClick={onNewChat}>New chat</TextButton>}
        </div>
      )}
    </div>
  );
}
