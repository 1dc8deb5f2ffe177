//! One quiet line about work, which opens to its details.

import { Collapsible } from 'radix-ui';
import { Busy } from '../shell/controls';
import { AlertIcon, ChevronIcon } from '../shell/icons';

interface RowTriggerProps {
  title: string;
  /** What it was about; shown as code. */
  subject?: string;
  meta: string | undefined;
  state?: 'running' | 'done' | 'failed';
}

/** The line itself; the details are the `Collapsible.Content` beside it. */
export function RowTrigger({ title, subject, meta, state = 'done' }: RowTriggerProps) {
  return (
    <Collapsible.Trigger className="group -ml-1 flex min-h-7 max-w-full items-center gap-2 rounded-lg px-1 text-left text-sm text-muted hover:text-ink">
      <span className="transition-transform duration-100 group-data-[state=open]:rotate-90">
        <ChevronIcon />
      </span>
      <span className="shrink-0">{title}{state === 'running' && '…'}</span>
      {subject !== undefined && <code className="truncate text-sm">{subject}</code>}
      {meta !== undefined && <span className="shrink-0 tabular-nums">· {meta}</span>}
      {state === 'running' && <Busy />}
      {state === 'failed' && <span className="flex shrink-0 items-center gap-1 text-bad"><AlertIcon /> did not work</span>}
    </Collapsible.Trigger>
  );
}

/** A named part of the details. */
export function Detail({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <section aria-label={name}>
      <p className="mb-1 text-sm text-muted">{name}</p>
      {children}
    </section>
  );
}

/** Text as it is, with its own scroll bars; with `whole` no line leaves the box. */
export function Json({ text, whole = false }: { text: string; whole?: boolean }) {
  return (
    <pre tabIndex={0} className={`max-h-80 overflow-auto rounded-lg bg-side p-3 text-sm leading-5 ${whole ? 'break-words whitespace-pre-wrap' : ''}`}>
      {text}
    </pre>
  );
}
