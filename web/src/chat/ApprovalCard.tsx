//! A call that waits for a person: what it will do, exactly with what, until when; afterwards, who decided.

import { Collapsible } from 'radix-ui';
import { memo, useId } from 'react';
import type { Approval, Run } from '../conversation/model';
import { useTool } from '../server/tools';
import { useNow } from '../shell/hooks';
import { CheckIcon, ChevronIcon, CloseIcon, ShieldIcon } from '../shell/icons';
import { argumentText, isOver, outcomeWords, timeLeft } from './approvals';
import { Detail, Json } from './Row';

interface ApprovalsProps {
  run: Run;
  /** Calls that were decided here and whose outcome has not come. */
  deciding: readonly string[];
  online: boolean;
  onDecide(callId: string, approved: boolean): void;
}

/** All questions of a run, in the order in which they were asked. */
export function Approvals({ run, deciding, online, onDecide }: ApprovalsProps) {
  if (run.approvals.length === 0) return null;
  return (
    <div className="mb-3 flex flex-col gap-2">
      {run.approvals.map((approval) =>
        approval.state === 'waiting' ? (
          <Card key={approval.callId} approval={approval} isDeciding={deciding.includes(approval.callId)} online={online} onDecide={onDecide} />
        ) : (
          <Outcome key={approval.callId} approval={approval} run={run} />
        ),
      )}
    </div>
  );
}

interface CardProps {
  approval: Approval;
  isDeciding: boolean;
  online: boolean;
  onDecide(callId: string, approved: boolean): void;
}

function Card({ approval, isDeciding, online, onDecide }: CardProps) {
  const id = useId();
  const now = useNow(true);
  const over = isOver(approval, now);
  const description = useTool(approval.tool)?.description;
  const disabled = isDeciding || over || !online;
  return (
    <section aria-labelledby={id} data-testid="approval" data-state={approval.state} className="appear overflow-hidden rounded-xl border border-edge">
      <header className="flex items-start gap-2 border-b border-line bg-busy-tint px-4 py-2 text-sm">
        <span className="mt-0.5 text-busy"><ShieldIcon /></span>
        <h2 id={id} className="min-w-0 flex-1 font-medium">The assistant asks to use <code className="break-all">{approval.tool}</code></h2>
        <TimeLeft approval={approval} now={now} />
      </header>
      <div className="flex flex-col gap-3 px-4 py-3">
        {description !== undefined && <p className="text-sm text-muted" data-testid="approval-about">{description}</p>}
        <Arguments approval={approval} name="With exactly this" />
        <div className="flex flex-wrap items-center gap-2">
          <button
            type="button"
            data-testid="approve"
            disabled={disabled}
            onClick={() => onDecide(approval.callId, true)}
            className="inline-flex h-9 min-w-24 items-center justify-center rounded-lg bg-accent px-4 text-sm font-medium text-on-accent hover:opacity-90 disabled:bg-tint disabled:text-muted disabled:opacity-100"
          >
            Allow once
          </button>
          <button
            type="button"
            data-testid="refuse"
            disabled={disabled}
            onClick={() => onDecide(approval.callId, false)}
            className="inline-flex h-9 min-w-24 items-center justify-center rounded-lg border border-edge bg-page px-4 text-sm font-medium text-ink hover:bg-hover disabled:text-muted disabled:hover:bg-page"
          >
            Refuse
          </button>
          <span className="min-w-0 flex-1 basis-40 text-sm text-muted" role="status">{hint(isDeciding, over, online)}</span>
        </div>
      </div>
    </section>
  );
}

function Arguments({ approval, name }: { approval: Approval; name: string }) {
  const text = argumentText(approval.arguments);
  return text === '{}' ? <p className="text-sm text-muted">Without any arguments</p> : <Detail name={name}><Json text={text} whole /></Detail>;
}

function hint(isDeciding: boolean, over: boolean, online: boolean): string {
  if (isDeciding) return 'Sending your decision…';
  if (over) return 'The time for a decision is over';
  return online ? 'Nothing happens before you decide' : 'You can decide when the connection is back';
}

/** From so many milliseconds on the time is short. */
const SHORT = 30_000;

function TimeLeft({ approval, now }: { approval: Approval; now: number }) {
  const left = timeLeft(approval, now);
  if (left === undefined || approval.expiresAt === undefined) return null;
  const isShort = approval.expiresAt - now < SHORT;
  const until = new Date(approval.expiresAt).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  return (
    <span role="timer" aria-live="off" title={`Can be decided until ${until}`} className={`shrink-0 tabular-nums ${isShort ? 'font-medium text-bad' : 'text-muted'}`}>
      <span className="sr-only">Time: </span>{left} left
    </span>
  );
}

/** One line for a question that is over; it opens to what was asked. */
const Outcome = memo(function Outcome({ approval, run }: { approval: Approval; run: Run }) {
  const approved = approval.state === 'approved';
  return (
    <Collapsible.Root data-testid="approval" data-state={approval.state}>
      <Collapsible.Trigger className="group -ml-1 flex min-h-7 max-w-full items-center gap-2 rounded-lg px-1 text-left text-sm text-muted hover:text-ink">
        <span className="transition-transform duration-100 group-data-[state=open]:rotate-90"><ChevronIcon /></span>
        <span className={approved ? 'text-good' : 'text-busy'}>{approved ? <CheckIcon /> : <CloseIcon />}</span>
        <code className="truncate text-sm text-ink">{approval.tool}</code>
        <span>{outcomeWords(approval, run)}</span>
        <DecidedAt at={approval.decidedAt} />
      </Collapsible.Trigger>
      <Collapsible.Content className="mt-1 mb-2 ml-2 flex flex-col gap-3 border-l border-line pl-4">
        <Arguments approval={approval} name={approved ? 'With exactly this' : 'It would have been used with this'} />
        {approval.digest !== undefined && (
          <p className="text-sm break-all text-muted">SHA-256 <code className="select-all">{approval.digest}</code></p>
        )}
      </Collapsible.Content>
    </Collapsible.Root>
  );
});

function DecidedAt({ at }: { at: string | undefined }) {
  const when = at === undefined ? undefined : new Date(at);
  if (when === undefined || Number.isNaN(when.getTime())) return null;
  return <time dateTime={at} className="shrink-0 tabular-nums">· {when.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })}</time>;
}
