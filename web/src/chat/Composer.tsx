//! Where the person writes. Usable in every state: without a connection a message waits in the outbox.

import { useLayoutEffect, type KeyboardEvent, type Ref, type RefObject } from 'react';
import { SendIcon, StopIcon } from '../shell/icons';
import { ModelMenu, type Answerers } from './ModelMenu';

/** Lines that the field grows to before it scrolls. */
const MAX_HEIGHT = 24 * 8;

interface ComposerProps {
  draft: string;
  onDraft(draft: string): void;
  onSend(): void;
  /** The newest question, to be edited with `↑` in the empty field. */
  onEditLast(): void;
  /** Whether a run goes on that could be stopped. */
  running: boolean;
  stopping: boolean;
  onStop(): void;
  online: boolean;
  field: RefObject<HTMLTextAreaElement | null>;
  /** Who could answer. */
  answerers: Answerers;
}

/** The composer with its send and stop buttons. */
export function Composer({ draft, onDraft, onSend, onEditLast, running, stopping, onStop, online, field, answerers }: ComposerProps) {
  useGrowing(field, draft);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      onSend();
    } else if (event.key === 'ArrowUp' && draft === '') {
      event.preventDefault();
      onEditLast();
    }
  };
  return (
    <form
      className="flex flex-col rounded-xl border border-edge bg-page p-2 focus-within:border-accent"
      onSubmit={(event) => {
        event.preventDefault();
        onSend();
      }}
    >
      <textarea
        ref={field as Ref<HTMLTextAreaElement>}
        data-testid="composer"
        aria-label="Your question"
        aria-keyshortcuts="/"
        placeholder={online ? 'Ask about your data…' : 'Ask now, it is sent later…'}
        rows={1}
        value={draft}
        onChange={(event) => onDraft(event.target.value)}
        onKeyDown={onKeyDown}
        enterKeyHint="send"
        className="max-h-48 min-h-10 resize-none bg-transparent px-2 py-2 text-base outline-none placeholder:text-muted"
      />
      <div className="flex items-center gap-2">
        <div className="flex min-w-0 flex-1"><ModelMenu {...answerers} /></div>
        {running && (
          <button
            type="button"
            data-testid="stop"
            aria-label="Stop the answer"
            title="Stop (Esc)"
            disabled={stopping}
            onClick={onStop}
            className="flex h-9 items-center gap-2 pointer-coarse:h-10 rounded-lg border border-edge px-3 text-sm text-ink hover:bg-hover disabled:opacity-60"
          >
            <StopIcon /> {stopping ? 'Stopping…' : 'Stop'}
          </button>
        )}
        <button
          type="submit"
          data-testid="send"
          aria-label="Send"
          title="Send (Enter)"
          disabled={draft.trim() === ''}
          className="grid size-9 pointer-coarse:size-10 place-items-center rounded-lg bg-accent text-on-accent hover:opacity-90 disabled:bg-tint disabled:text-muted disabled:opacity-100"
        >
          <SendIcon />
        </button>
      </div>
    </form>
  );
}

function useGrowing(field: RefObject<HTMLTextAreaElement | null>, text: string): void {
  useLayoutEffect(() => {
    const element = field.current;
    if (!element) return;
    element.style.height = 'auto';
    element.style.height = `${Math.min(element.scrollHeight, MAX_HEIGHT)}px`;
  }, [field, text]);
}
